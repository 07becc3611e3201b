// SPDX-License-Identifier: Apache-2.0

/// The start or the end of audio in a response; the chunks between them are binary frames. Sequenced.
package struct AudioMessage: OutgoingMessage {
    package static let type: StaticString = "audio"
    package var replyTo: MessageID
    package var format: AudioFormat
    /// Whether this is the end of the audio.
    package var isFinal: Bool
    package var end: RequestEnd

    package init(_ replyTo: MessageID, _ format: AudioFormat, isFinal: Bool, end: RequestEnd) {
        self.replyTo = replyTo
        self.format = format
        self.isFinal = isFinal
        self.end = end
    }

    package var expectedBytes: Int { 256 &+ end.expectedBytes }

    package func write(to writer: inout JSONWriter) {
        writer.member("reply_to", replyTo)
        writer.member("format", format)
        if isFinal { writer.member("final", true) }
        writer.members(end)
    }
}
