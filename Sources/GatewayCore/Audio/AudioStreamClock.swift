// SPDX-License-Identifier: Apache-2.0

/// The duration of an audio stream, updated with each chunk.
///
/// Samples and Opus packets are measured exactly. Containers are measured by their timestamps where those can be parsed, otherwise at
/// ``AudioDuration/containerBytesPerSecond``. The duration of a container is at least that of its bytes at ``highestBytesPerSecond``, so that
/// forged timestamps can't evade the realtime limit.
package struct AudioStreamClock: Sendable {
    /// The maximum byte rate of Opus (510 kbit/s, RFC 6716 §2.1.1) including its container.
    package static let highestBytesPerSecond: Int64 = 64_000

    let format: AudioFormat
    private var ogg: OggTimestamps?
    private var webM: WebMTimestamps?
    private var bytes: Int64 = 0
    /// The total duration returned for a container so far.
    private var total: Int64 = 0

    package init(format: AudioFormat) {
        self.format = format
        switch format.codec {
        case .oggOpus: ogg = OggTimestamps()
        case .webmOpus: webM = WebMTimestamps()
        case .pcm16, .mulaw, .alaw, .opus, .mp4AAC: break
        }
    }

    /// Adds a chunk, and returns the added duration in nanoseconds; nil for an invalid Opus packet.
    package mutating func nanoseconds(adding chunk: RawSpan) -> Int64? {
        switch format.codec {
        case .pcm16, .mulaw, .alaw, .opus: return AudioDuration.nanoseconds(of: chunk, format: format)
        case .oggOpus, .webmOpus, .mp4AAC: break
        }
        bytes &+= Int64(chunk.byteCount)
        ogg?.read(chunk)
        webM?.read(chunk)
        let progress = ogg?.progress ?? webM?.progress ?? ContainerProgress(untimedBytes: bytes)
        let longest = max(progress.total, AudioDuration.nanoseconds(bytes, perSecond: Self.highestBytesPerSecond))
        defer { total = max(total, longest) }
        return max(0, longest - total)
    }
}
