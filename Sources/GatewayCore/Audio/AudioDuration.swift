// SPDX-License-Identifier: Apache-2.0

/// The duration of audio data, in nanoseconds.
package enum AudioDuration {
    /// The byte rate assumed for a container whose timestamps can't be parsed: 256 kbit/s, twice the default of browsers.
    package static let containerBytesPerSecond: Int64 = 32_000

    /// Returns the duration of a chunk; nil for an invalid Opus packet: without a table of contents, without frames, or longer than 120 ms
    /// (RFC 6716 §3.4, R1 and R5). The frames themselves aren't checked.
    package static func nanoseconds(of chunk: RawSpan, format: AudioFormat) -> Int64? {
        format.codec == .opus ? opus(chunk) : nanoseconds(byteCount: chunk.byteCount, format: format)
    }

    /// Returns the duration for any codec but `opus`: exact for samples, an estimate for containers.
    package static func nanoseconds(byteCount: Int, format: AudioFormat) -> Int64 {
        let perSecond: Int64 =
            switch format.codec {
            case .pcm16, .mulaw, .alaw: Int64(format.rate) * Int64(format.frameBytes)
            case .opus, .oggOpus, .webmOpus, .mp4AAC: containerBytesPerSecond
            }
        return nanoseconds(Int64(byteCount), perSecond: perSecond)
    }

    /// Returns the duration of `count` units at a rate of `perSecond`, saturating.
    static func nanoseconds(_ count: Int64, perSecond: Int64) -> Int64 {
        guard count > 0, perSecond > 0 else { return 0 }
        let (seconds, rest) = count.quotientAndRemainder(dividingBy: perSecond)
        let (whole, wholeOverflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (part, partOverflows) = rest.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, sumOverflows) = whole.addingReportingOverflow(part / perSecond)
        return wholeOverflows || partOverflows || sumOverflows ? .max : sum
    }

    /// Returns the duration from the table-of-contents byte (RFC 6716 §3.1 and §3.2); at most 120 ms per packet (R5).
    private static func opus(_ packet: RawSpan) -> Int64? {
        guard packet.byteCount >= 1 else { return nil }
        let toc = packet.byte(at: 0)
        let configuration = Int(toc >> 3)
        let microseconds: Int64 =
            switch configuration {
            case 0..<12: [10_000, 20_000, 40_000, 60_000][configuration & 3]
            case 12..<16: [10_000, 20_000][configuration & 1]
            default: [2_500, 5_000, 10_000, 20_000][configuration & 3]
            }
        let frames: Int64
        switch toc & 3 {
        case 0: frames = 1
        case 1, 2: frames = 2
        default:
            guard packet.byteCount >= 2 else { return nil }
            frames = Int64(packet.byte(at: 1) & 0x3F)
        }
        guard frames >= 1, microseconds * frames <= 120_000 else { return nil }
        return microseconds * frames * 1000
    }
}
