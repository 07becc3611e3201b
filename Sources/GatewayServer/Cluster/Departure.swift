// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The first step of handing a session over to another node.
package enum Departure: Sendable {
    /// The session is detached and all its changes are submitted to the store. It waits for the outcome.
    ///
    /// - `record`: what the stored records lack
    /// - `hasRequests`: whether upstream calls are in flight, which stay on this node
    case ready(record: [UInt8], hasRequests: Bool)
    case rejected(ResumeError)
    /// The session isn't on this event loop any more.
    case elsewhere
}

/// The second step of handing a session over.
package enum DepartureOutcome: Sendable {
    /// The other node has the session. Its calls in flight continue over the stream; nil cancels them.
    case left(NodeStream?)
    /// The store has failed: the session stays here, detached.
    case failed
    /// A third node had taken the session before.
    case fenced
}
