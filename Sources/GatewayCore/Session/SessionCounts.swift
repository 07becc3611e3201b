// SPDX-License-Identifier: Apache-2.0

/// The counters of a session, for the `status` report and the log line of a closed connection.
package struct SessionCounts: Sendable {
    package var messagesIn: UInt64 = 0
    package var messagesOut: UInt64 = 0
    package var errors: UInt64 = 0
    package var audioNanoseconds: Int64 = 0
    /// Bytes of WebSocket frames received on closed connections.
    package var bytesIn: UInt64 = 0
    /// Bytes of WebSocket frames sent on closed connections.
    package var bytesOut: UInt64 = 0
    package var connections: UInt64 = 0
    package var resumes: UInt64 = 0

    package init() {}
}
