// SPDX-License-Identifier: Apache-2.0

/// The start or the end of pushed audio; the chunks between them are binary frames. Sequenced.
package struct PushedAudio: OutgoingMessage {
    package static let type: StaticString = "audio"
    package var push: ULID
    package var format: AudioFormat
    /// Whether this is the end of the audio.
    package var isFinal: Bool

    package init(_ push: ULID, _ format: AudioFormat, isFinal: Bool) {
        self.push = push
        self.format = format
        self.isFinal = isFinal
    }

    package var expectedBytes: Int { 256 }

    package func write(to writer: inout JSONWriter) {
        writer.push(push)
        writer.member("format", format)
        if isFinal { writer.member("final", true) }
    }
}
