// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@testable import GatewayAudio

@Suite struct SampleBlocksTests {
    /// Computes energy and peak one sample at a time.
    private func scalar(_ samples: [Int16]) -> (energy: UInt64, peak: Int32) {
        samples.reduce((0, 0)) { sums, sample in
            let value = Int64(sample)
            return (sums.0 + UInt64(value * value), max(sums.1, Int32(abs(value))))
        }
    }

    private func expectSame(_ samples: [Int16], sourceLocation: SourceLocation = #_sourceLocation) {
        var blocks = SampleBlocks()
        for start in stride(from: 0, to: samples.count, by: 8) { blocks.add(SampleBlocks.Block(samples[start..<start + 8])) }
        let expected = scalar(samples)
        #expect(blocks.energy == expected.energy && blocks.peak == expected.peak, sourceLocation: sourceLocation)
    }

    @Test func `extreme values are handled in each lane`() {
        for lane in 0..<8 {
            for sample in [Int16.min, .min + 1, -256, -1, 0, 1, 255, 256, .max] {
                var samples = [Int16](repeating: 0, count: 16)
                samples[8 + lane] = sample
                expectSame(samples)
            }
        }
    }

    @Test func `random samples give the same result in blocks as one at a time`() {
        var random = ULIDSource(seed: 11)
        for _ in 0..<500 {
            let shift = Int16(random.ulid(at: 0).low & 15)
            let count = 8 * Int(1 + random.ulid(at: 0).low & 31)
            expectSame((0..<count).map { _ in Int16(truncatingIfNeeded: random.ulid(at: 0).low) >> shift })
        }
    }

    @Test func `the longest frame of maximum amplitude doesn't overflow`() {
        // 20 ms of 48 kHz stereo are 1,920 samples; the sums are safe up to 65,536 blocks.
        expectSame([Int16](repeating: .min, count: 1920))
        expectSame([Int16](repeating: .max, count: 1920))
    }
}
