// SPDX-License-Identifier: Apache-2.0

/// The transcript of a client's audio, or a delta of it. Sequenced.
package struct TranscriptMessage: OutgoingMessage {
    package static let type: StaticString = "transcript"
    package var replyTo: MessageID
    /// Valid UTF-8.
    package var text: [UInt8]
    package var isFinal: Bool
    /// Omitted unless finite.
    package var confidence: Double?
    package var startMilliseconds: Int64?
    package var endMilliseconds: Int64?
    package var end: RequestEnd

    package init(
        _ replyTo: MessageID, _ text: [UInt8], isFinal: Bool, confidence: Double? = nil, startMilliseconds: Int64? = nil,
        endMilliseconds: Int64? = nil, end: RequestEnd
    ) {
        self.replyTo = replyTo
        self.text = text
        self.isFinal = isFinal
        self.confidence = confidence
        self.startMilliseconds = startMilliseconds
        self.endMilliseconds = endMilliseconds
        self.end = end
    }

    package var expectedBytes: Int { 288 &+ text.count &+ end.expectedBytes }

    package func write(to writer: inout JSONWriter) {
        writer.member("reply_to", replyTo)
        writer.member("text", text)
        writer.member("final", isFinal)
        if let confidence, confidence.isFinite { writer.member("confidence", confidence) }
        if let startMilliseconds { writer.member("start_ms", startMilliseconds) }
        if let endMilliseconds { writer.member("end_ms", endMilliseconds) }
        writer.members(end)
    }
}
