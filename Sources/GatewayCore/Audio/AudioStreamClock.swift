/// The duration of a stream's audio, chunk by chunk as it arrives.
///
/// Samples and Opus packets are exact. Containers are measured by their own timestamps, as far as those can be read; the rest counts at
/// ``AudioClock/containerBytesPerSecond``. A container never counts as less than its bytes at ``highestBytesPerSecond``, so that forged
/// timestamps don't carry more audio than the limit on realtime allows.
package struct AudioStreamClock: Sendable {
    /// The most that a second of Opus takes (RFC 6716 §2.1.1: 510 kbit/s), with its container.
    package static let highestBytesPerSecond: Int64 = 64_000

    private let format: AudioFormat
    private var ogg: OggTimestamps?
    private var webM: WebMTimestamps?
    private var bytes: Int64 = 0
    /// The sum of what was returned for a container.
    private var total: Int64 = 0

    package init(format: AudioFormat) {
        self.format = format
        switch format.codec {
        case .oggOpus: ogg = OggTimestamps()
        case .webmOpus: webM = WebMTimestamps()
        case .pcm16, .mulaw, .alaw, .opus, .mp4AAC: break
        }
    }

    /// Adds a chunk and returns by how many nanoseconds the audio got longer; nil for a chunk that isn't an Opus packet.
    package mutating func nanoseconds(adding chunk: RawSpan) -> Int64? {
        switch format.codec {
        case .pcm16, .mulaw, .alaw, .opus: return AudioClock.nanoseconds(of: chunk, format: format)
        case .oggOpus, .webmOpus, .mp4AAC: break
        }
        bytes &+= Int64(chunk.byteCount)
        ogg?.read(chunk)
        webM?.read(chunk)
        let progress = ogg?.progress ?? webM?.progress ?? ContainerProgress(untimedBytes: bytes)
        let longest = max(progress.total, AudioClock.nanoseconds(bytes, perSecond: Self.highestBytesPerSecond))
        defer { total = max(total, longest) }
        return max(0, longest - total)
    }
}
