// SPDX-License-Identifier: Apache-2.0

/// A text that was pushed into the session. Sequenced.
package struct PushedText: OutgoingMessage {
    package static let type: StaticString = "text"
    package var push: ULID
    /// Valid UTF-8.
    package var text: [UInt8]

    package init(_ push: ULID, _ text: [UInt8]) {
        self.push = push
        self.text = text
    }

    package var expectedBytes: Int { 192 &+ text.count }

    package func write(to writer: inout JSONWriter) {
        writer.push(push)
        writer.member("text", text)
        writer.member("final", true)
    }
}

extension JSONWriter {
    /// Writes the member that distinguishes a pushed message from a response.
    mutating func push(_ id: ULID) { object("push") { $0.member("id", id) } }
}
