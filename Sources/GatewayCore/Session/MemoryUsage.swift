// SPDX-License-Identifier: Apache-2.0

/// The memory usage of a session, in bytes by part. `status` reports the parts under the same names.
package struct MemoryUsage: Sendable {
    /// Buffers of the connection. The connection handler updates them after every read and write.
    package struct Connection: Sendable {
        package var receiveBuffer = 0
        package var assembler = 0
        package var deflate = 0
        package var socketQueue = 0

        package init() {}
    }

    package var connection = Connection()
    package var outbox = 0
    package var history = 0
    package var duplicateIDs = 0
    package var upstreamQueue = 0
    package var requests = 0
    /// Responses that the session hasn't consumed yet, and audio collected for upstreams.
    package var upstreamAnswers = 0
    /// The user and the claims of the client's token.
    package var grant = 0
    /// Bytes counted for the session itself.
    package static let base = 1024

    package init() {}

    package var total: Int {
        Self.base + connection.receiveBuffer + connection.assembler + connection.deflate + connection.socketQueue + outbox + history
            + duplicateIDs + upstreamQueue + upstreamAnswers + requests + grant
    }
}
