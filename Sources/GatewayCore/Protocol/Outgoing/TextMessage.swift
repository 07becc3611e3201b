// SPDX-License-Identifier: Apache-2.0

/// The text of a response, or a delta of it. Sequenced.
package struct TextMessage: OutgoingMessage {
    package static let type: StaticString = "text"
    package var replyTo: MessageID
    /// Valid UTF-8.
    package var text: [UInt8]
    package var isFinal: Bool
    package var end: RequestEnd

    package init(_ replyTo: MessageID, _ text: [UInt8], isFinal: Bool, end: RequestEnd) {
        self.replyTo = replyTo
        self.text = text
        self.isFinal = isFinal
        self.end = end
    }

    package var expectedBytes: Int { 192 &+ text.count &+ end.expectedBytes }

    package func write(to writer: inout JSONWriter) {
        writer.member("reply_to", replyTo)
        writer.member("text", text)
        writer.member("final", isFinal)
        writer.members(end)
    }
}
