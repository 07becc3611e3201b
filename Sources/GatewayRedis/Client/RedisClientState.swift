// SPDX-License-Identifier: Apache-2.0

/// The state of a client's connections.
package enum RedisClientState: Sendable, Hashable {
    /// Before the end of the first attempt to connect. Commands are queued.
    case connecting
    /// Commands are sent; in a cluster, the masters of all slots are connected.
    case connected
    /// Commands fail at once; in a cluster, those for the masters that aren't connected. The client continues to connect.
    case disconnected(String)
    case closed
}
