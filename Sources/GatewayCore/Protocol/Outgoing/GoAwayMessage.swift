// SPDX-License-Identifier: Apache-2.0

/// The announcement that the connection or the session will be closed.
package struct GoAwayMessage: OutgoingMessage {
    package static let type: StaticString = "goaway"
    package var reason: StaticString
    package var deadlineMilliseconds: Int64

    package init(reason: StaticString, deadlineMilliseconds: Int64) {
        self.reason = reason
        self.deadlineMilliseconds = deadlineMilliseconds
    }

    package var expectedBytes: Int { 96 }

    package func write(to writer: inout JSONWriter) {
        writer.member("reason", literal: reason)
        writer.member("deadline_ms", deadlineMilliseconds)
    }
}
