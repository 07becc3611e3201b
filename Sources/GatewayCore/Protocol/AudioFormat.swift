// SPDX-License-Identifier: Apache-2.0

/// The encoding of an audio stream.
package struct AudioFormat: Hashable, Sendable {
    package enum Codec: String, Sendable, CaseIterable {
        case pcm16, mulaw, alaw, opus
        case oggOpus = "ogg_opus"
        case webmOpus = "webm_opus"
        // Stored records number the codecs in declaration order: add new cases at the end.
        case mp4AAC = "mp4_aac"
    }

    package static let rates = 8000...48000
    package static let channelCounts = 1...2

    package var codec: Codec
    /// The sample rate in Hz, 8000–48000.
    package var rate: Int
    /// 1 or 2.
    package var channels: Int

    package init(codec: Codec, rate: Int, channels: Int) {
        self.codec = codec
        self.rate = rate
        self.channels = channels
    }

    /// Bytes of one sample of all channels; 1 for packet-based codecs.
    package var frameBytes: Int {
        switch codec {
        case .pcm16: 2 * channels
        case .mulaw, .alaw: channels
        case .opus, .oggOpus, .webmOpus, .mp4AAC: 1
        }
    }
}
