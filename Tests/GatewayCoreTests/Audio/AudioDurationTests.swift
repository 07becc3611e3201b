// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct AudioDurationTests {
    private func nanoseconds(_ chunk: [UInt8], _ codec: AudioFormat.Codec, rate: Int = 48_000, channels: Int = 1) -> Int64? {
        chunk.withRawSpan { AudioDuration.nanoseconds(of: $0, format: AudioFormat(codec: codec, rate: rate, channels: channels)) }
    }

    @Test(
        arguments: [
            (.pcm16, 16_000, 1, 640, 20_000_000), (.pcm16, 16_000, 2, 640, 10_000_000), (.pcm16, 8000, 1, 2, 125_000),
            (.pcm16, 48_000, 2, 4, 20_833), (.pcm16, 44_100, 1, 88_200, 1_000_000_000), (.pcm16, 8000, 1, 1_000_000, 62_500_000_000),
            (.mulaw, 8000, 1, 160, 20_000_000), (.alaw, 8000, 2, 160, 10_000_000), (.mulaw, 48_000, 1, 1, 20_833),
            (.oggOpus, 48_000, 2, 32_000, 1_000_000_000), (.webmOpus, 8000, 1, 16_000, 500_000_000),
            (.mp4AAC, 44_100, 1, 1, 31_250),
        ] as [(AudioFormat.Codec, Int, Int, Int, Int64)])
    func `samples are measured exactly, and containers at 32 KB/s`(
        codec: AudioFormat.Codec, rate: Int, channels: Int, bytes: Int, expected: Int64
    ) {
        #expect(nanoseconds([UInt8](repeating: 0, count: bytes), codec, rate: rate, channels: channels) == expected)
    }

    @Test func `a large byte count doesn't trap`() {
        let format = AudioFormat(codec: .pcm16, rate: 48_000, channels: 2)
        #expect(AudioDuration.nanoseconds(byteCount: 1 << 40, format: format) == 5_726_623_061_333_333)
    }

    /// RFC 6716 §3.1, table 2: the frame size of each of the 32 configurations, in microseconds.
    private static let frameSizes: [Int64] =
        [10_000, 20_000, 40_000, 60_000, 10_000, 20_000, 40_000, 60_000, 10_000, 20_000, 40_000, 60_000]
        + [10_000, 20_000, 10_000, 20_000]
        + [2500, 5000, 10_000, 20_000, 2500, 5000, 10_000, 20_000, 2500, 5000, 10_000, 20_000, 2500, 5000, 10_000, 20_000]

    @Test(arguments: 0..<32)
    func `the duration of an Opus packet follows from its table of contents`(configuration: Int) {
        let frame = Self.frameSizes[configuration] * 1000
        for stereo in [0, 4] as [UInt8] {
            let toc = UInt8(configuration) << 3 | stereo
            #expect(nanoseconds([toc], .opus) == frame)
            #expect(nanoseconds([toc, 1, 2, 3], .opus) == frame)
            #expect(nanoseconds([toc | 1, 0, 0], .opus) == 2 * frame)
            #expect(nanoseconds([toc | 2, 1, 0, 0], .opus) == 2 * frame)
            #expect(nanoseconds([toc | 3], .opus) == nil)
            for count in 0...63 as ClosedRange<UInt8> {
                let duration = Int64(count) * frame
                let isPacket = count >= 1 && duration <= 120_000_000
                // The two upper bits encode VBR and padding.
                for flags in [0, 0x40, 0x80, 0xC0] as [UInt8] {
                    #expect(nanoseconds([toc | 3, flags | count, 0], .opus) == (isPacket ? duration : nil))
                }
            }
        }
    }

    @Test func `an empty Opus packet is invalid`() {
        #expect(nanoseconds([], .opus) == nil)
    }
}
