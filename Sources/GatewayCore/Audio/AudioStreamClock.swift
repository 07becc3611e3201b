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

/// How far a container has got: the time that its timestamps tell, and the bytes without any.
struct ContainerProgress: Sendable, Hashable {
    /// The longest step between two timestamps that counts as audio, in nanoseconds: as much as an Ogg page can hold, 255 packets of 120 ms.
    /// A longer step is a jump, as at the beginning of a stream that was joined in its middle.
    static let longestStep: Int64 = 255 * 120_000_000
    /// Three years: beyond any stream, and far from where sums overflow.
    private static let most: Int64 = 100_000_000_000_000_000

    private(set) var nanoseconds: Int64 = 0
    private(set) var untimedBytes: Int64 = 0

    init(untimedBytes: Int64 = 0) { self.untimedBytes = untimedBytes }

    var total: Int64 {
        min(nanoseconds &+ min(AudioClock.nanoseconds(untimedBytes, perSecond: AudioClock.containerBytesPerSecond), Self.most), Self.most)
    }

    /// Adds a step forward; a jump counts as the bytes that made it.
    mutating func add(step: Int64, bytes: Int64) {
        guard step <= Self.longestStep else { return addUntimed(bytes) }
        nanoseconds = min(nanoseconds &+ max(0, step), Self.most)
    }

    mutating func addUntimed(_ count: Int64) { untimedBytes = min(untimedBytes &+ count, Self.most) }
}
