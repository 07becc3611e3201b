// SPDX-License-Identifier: Apache-2.0

/// A status that was pushed into the session. Sequenced.
package struct PushedStatus: OutgoingMessage {
    package static let type: StaticString = "status"
    package var push: ULID
    package var state: String
    /// 0 to 1.
    package var progress: Double?

    package init(_ push: ULID, _ state: String, progress: Double? = nil) {
        self.push = push
        self.state = state
        self.progress = progress
    }

    package var expectedBytes: Int { 192 &+ state.utf8.count }

    package func write(to writer: inout JSONWriter) {
        writer.push(push)
        writer.member("state", state)
        if let progress { writer.member("progress", progress) }
    }
}
