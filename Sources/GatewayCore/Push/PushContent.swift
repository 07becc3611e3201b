// SPDX-License-Identifier: Apache-2.0

/// The content of a message that a back office pushes into sessions.
package enum PushContent: Sendable, Hashable {
    /// 1 byte to `messages.max_text_bytes` of sanitized UTF-8.
    case text([UInt8])
    /// - `state`: 1 to 64 bytes
    /// - `progress`: 0 to 1
    case status(state: String, progress: Double?)
    /// A whole recording of at most `messages.audio_max_bytes`.
    case audio(AudioFormat, [UInt8])

    /// The maximum size of one binary frame of pushed audio, in bytes; a multiple of every size of a sample.
    static let frameBytes = 16_384

    /// The value of `type`.
    package var type: String {
        switch self {
        case .text: "text"
        case .status: "status"
        case .audio: "audio"
        }
    }

    /// The size of the text, the state or the recording, in bytes.
    package var byteCount: Int {
        switch self {
        case .text(let text): text.count
        case .status(let state, _): state.utf8.count
        case .audio(_, let recording): recording.count
        }
    }

    /// The size of the binary frames: an Opus packet is one frame.
    var frameSize: Int {
        if case .audio(let format, let recording) = self, format.codec == .opus { recording.count } else { Self.frameBytes }
    }

    /// Number of sequenced messages that the content takes.
    package var messageCount: Int {
        guard case .audio(_, let recording) = self else { return 1 }
        return 2 + (recording.count + frameSize - 1) / max(1, frameSize)
    }
}
