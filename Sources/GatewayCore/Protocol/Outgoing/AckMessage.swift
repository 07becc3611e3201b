// SPDX-License-Identifier: Apache-2.0

/// The acknowledgement of an accepted text, audio stream, chunk, or `status` with an id.
package struct AckMessage: OutgoingMessage {
    package static let type: StaticString = "ack"
    package var id: MessageID
    /// Whether the message had been accepted before.
    package var isDuplicate = false
    /// The number of accepted chunks of the audio stream; nil unless the acknowledged message belongs to one.
    package var chunks: UInt64?

    package init(_ id: MessageID, isDuplicate: Bool = false, chunks: UInt64? = nil) {
        self.id = id
        self.isDuplicate = isDuplicate
        self.chunks = chunks
    }

    package var expectedBytes: Int { 160 }

    package func write(to writer: inout JSONWriter) {
        writer.member("id", id)
        if isDuplicate { writer.member("duplicate", true) }
        if let chunks { writer.member("chunks", chunks) }
    }
}
