// SPDX-License-Identifier: Apache-2.0

/// The progress of a request. Sequenced.
package struct StatusMessage: OutgoingMessage {
    package static let type: StaticString = "status"
    package var replyTo: MessageID
    package var state: String
    /// Clamped to 0…1; omitted unless finite.
    package var progress: Double?
    /// Bytes of a model's reasoning so far.
    package var reasoningBytes: Int?
    package var end: RequestEnd

    package init(_ replyTo: MessageID, _ state: String, progress: Double? = nil, reasoningBytes: Int? = nil, end: RequestEnd) {
        self.replyTo = replyTo
        self.state = state
        self.progress = progress
        self.reasoningBytes = reasoningBytes
        self.end = end
    }

    package var expectedBytes: Int { 224 &+ state.utf8.count &+ end.expectedBytes }

    package func write(to writer: inout JSONWriter) {
        writer.member("reply_to", replyTo)
        writer.member("state", state)
        if let progress, progress.isFinite { writer.member("progress", min(max(progress, 0), 1)) }
        if let reasoningBytes { writer.member("bytes", reasoningBytes) }
        writer.members(end)
    }
}
