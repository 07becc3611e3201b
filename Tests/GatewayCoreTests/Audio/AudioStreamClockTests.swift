// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Audio stream clock") struct AudioStreamClockTests {
    private func seconds(_ bytes: [UInt8], _ codec: AudioFormat.Codec, cutEvery size: Int = .max) -> Double {
        var clock = AudioStreamClock(format: AudioFormat(codec: codec, rate: 48_000, channels: 1))
        var total: Int64 = 0
        var offset = 0
        while offset < bytes.count {
            let end = min(bytes.count, offset + min(size, bytes.count))
            let step = Array(bytes[offset..<end]).withRawSpan { clock.nanoseconds(adding: $0) }
            #expect(step.map { $0 >= 0 } == true)
            total += step ?? 0
            offset = end
        }
        return Double(total) / 1e9
    }

    private static let cuts = [1, 2, 27, 100, 4001, Int.max]

    @Test(arguments: cuts)
    func `Ogg is measured by its granule positions minus the pre-skip, regardless of chunk sizes`(size: Int) {
        // 24, 128 and 480 kbit/s: the duration doesn't depend on the bit rate.
        for bytes in [3000, 16_000, 60_000] {
            #expect(seconds(Containers.ogg(seconds: 4, bytes: bytes), .oggOpus, cutEvery: size) == 4)
        }
        #expect(seconds(Containers.ogg(seconds: 4, bytes: 3000, preSkip: 3840), .oggOpus, cutEvery: size) == 4)
    }

    @Test(arguments: cuts)
    func `WebM is measured by its clusters and blocks, regardless of chunk sizes`(size: Int) {
        for bytes in [60, 320, 1200] {
            #expect(seconds(Containers.webM(seconds: 4, bytesPerBlock: bytes), .webmOpus, cutEvery: size) == 4)
        }
        #expect(seconds(Containers.webM(seconds: 3, bytesPerBlock: 320, isOpen: false), .webmOpus, cutEvery: size) == 3)
    }

    @Test(arguments: cuts)
    func `files of a real encoder have their actual duration`(size: Int) {
        #expect(seconds(RecordedFiles.ogg, .oggOpus, cutEvery: size) == 1)
        // The last packet, which is partly padding, counts as a whole.
        #expect(seconds(RecordedFiles.webM, .webmOpus, cutEvery: size) == 1.021)
    }

    @Test func `block groups and other timestamp scales are supported`() {
        let groups = (0..<50).flatMap { Containers.blockGroup(at: $0 * 20, bytes: 60) }
        #expect(seconds(Containers.webMHeaders() + Containers.cluster(at: 0, groups), .webmOpus) == 1)
        let slow = (0..<50).flatMap { Containers.simpleBlock(at: $0 * 2, bytes: 60) }
        #expect(seconds(Containers.webMHeaders(scale: 10_000_000) + Containers.cluster(at: 0, slow), .webmOpus) == 1)
        #expect(seconds(Containers.webMHeaders(scale: nil) + Containers.cluster(at: 0, groups), .webmOpus) == 1)
    }

    @Test func `the durations of concatenated files add up`() {
        let ogg = Containers.ogg(seconds: 2, bytes: 3000) + Containers.ogg(seconds: 3, bytes: 3000, serial: 8)
        #expect(seconds(ogg, .oggOpus, cutEvery: 1000) == 5)
        let webM = Containers.webM(seconds: 2, bytesPerBlock: 60) + Containers.webM(seconds: 1, bytesPerBlock: 60)
        #expect(seconds(webM, .webmOpus, cutEvery: 1000) == 3)
    }

    @Test func `the duration of a stream joined midway excludes the time before`() {
        let day: Int64 = 86_400 * 48_000
        let pages = (1...3).flatMap { Containers.page(granule: day + $0 * 48_000, body: [UInt8](repeating: 0, count: 3200)) }
        // The first page counts by its bytes.
        let ogg = seconds(Containers.oggHeaders() + pages, .oggOpus)
        #expect(ogg > 2 && ogg < 2.2)
        let blocks = (0..<50).flatMap { Containers.simpleBlock(at: $0 * 20, bytes: 60) }
        let webM = Containers.webMHeaders() + Containers.cluster(at: 86_400_000, blocks) + Containers.cluster(at: 86_401_000, blocks)
        #expect(seconds(webM, .webmOpus) == 2)
    }

    @Test func `the bytes determine the minimum duration if timestamps jump or don't advance`() {
        let still =
            Containers.oggHeaders() + (1...20).flatMap { _ in Containers.page(granule: 400, body: [UInt8](repeating: 0, count: 64_000)) }
        #expect(seconds(still, .oggOpus) > 20)
        let back =
            Containers.oggHeaders()
            + [5, 1, 5, 1].flatMap { Containers.page(granule: $0 * 48_000, body: [UInt8](repeating: 0, count: 1000)) }
        #expect(seconds(back, .oggOpus) >= 5)
        let blocks = Containers.simpleBlock(at: 0, bytes: 64_000)
        let webM = Containers.webMHeaders() + (0..<20).flatMap { _ in Containers.cluster(at: 0, blocks) }
        #expect(seconds(webM, .webmOpus) > 19)
    }

    @Test func `timestamps of pages without a packet end and of other streams are ignored`() {
        let bytes =
            Containers.page(granule: 0, flags: 2, serial: 1, body: Array("fishead\0".utf8) + [UInt8](repeating: 0, count: 56))
            + Containers.oggHeaders() + Containers.page(granule: -1, body: [UInt8](repeating: 0, count: 1000))
            + Containers.page(granule: 1 << 40, serial: 1, body: [1])
            + Containers.page(granule: 48_000 + 312, body: [UInt8](repeating: 0, count: 1000))
        let measured = seconds(bytes, .oggOpus)
        #expect(measured >= 1 && measured < 1.01)
    }

    @Test(arguments: [AudioFormat.Codec.oggOpus, .webmOpus, .mp4AAC], cuts)
    func `unparsable containers count at 32 KB/s`(codec: AudioFormat.Codec, size: Int) {
        for byte in [0x00, 0x41, 0xFF, 0xA3] as [UInt8] {
            #expect(seconds([UInt8](repeating: byte, count: 64_000), codec, cutEvery: size) == 2)
        }
        #expect(seconds([], codec) == 0)
    }

    @Test func `a container that becomes unparsable counts by its timestamps, then by its bytes`() {
        let junk = [UInt8](repeating: 0, count: 32_000)
        #expect(seconds(Containers.ogg(seconds: 2, bytes: 3000) + junk, .oggOpus, cutEvery: 999) == 3)
        #expect(seconds(Containers.webM(seconds: 2, bytesPerBlock: 60) + junk, .webmOpus, cutEvery: 999) == 3)
    }

    @Test func `hostile sizes and timestamps don't trap`() {
        let cluster: [UInt8] = [0x1F, 0x43, 0xB6, 0x75, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        for tail in [
            [0xE7, 0x88] + [UInt8](repeating: 0xFF, count: 8) + Containers.simpleBlock(at: 0x7FFF, bytes: 10),
            [0xE7, 0x80, 0xA3, 0x84, 0, 0, 0, 0],
            [0xE7, 0x89], [0xA3, 0x83, 1, 2, 3], [0xEC, 0x08, 0xFF, 0xFF, 0xFF, 0xFF],
            [0x2A, 0xD7, 0xB1, 0x88] + [UInt8](repeating: 0xFF, count: 8),
            [0xA3, 0x40], [0xA3, 0x87, 0x81, 0, 0, 0x06, 1, 2, 3],
        ] as [[UInt8]] {
            let bytes = Containers.webMHeaders() + cluster + tail + Containers.webM(seconds: 1, bytesPerBlock: 60)
            #expect(seconds(bytes, .webmOpus, cutEvery: 3) < 100)
        }
        for granule in [.max, .min, -2, 1 << 62] as [Int64] {
            let bytes = Containers.oggHeaders() + Containers.page(granule: granule, body: [1]) + Containers.page(granule: 1, body: [])
            #expect(seconds(bytes + bytes, .oggOpus, cutEvery: 5) < 100)
        }
        var random = SplitMix64(state: 15)
        for seed in [Containers.ogg(seconds: 2, bytes: 300), Containers.webM(seconds: 1, bytesPerBlock: 30)] {
            for _ in 0..<300 {
                var bytes = seed
                for _ in 0..<Int.random(in: 1...8, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                for codec in [AudioFormat.Codec.oggOpus, .webmOpus] { #expect(seconds(bytes, codec, cutEvery: 500) < 1e6) }
            }
        }
    }

    @Test func `samples and Opus packets are measured one chunk at a time`() {
        #expect(seconds([UInt8](repeating: 0, count: 96_000), .pcm16, cutEvery: 2) > 0.99)
        #expect(seconds([UInt8](repeating: 0, count: 96_000), .pcm16) == 1)
        var clock = AudioStreamClock(format: AudioFormat(codec: .opus, rate: 48_000, channels: 1))
        #expect([0x48].withRawSpan { clock.nanoseconds(adding: $0) } == 20_000_000)
        #expect([3].withRawSpan { clock.nanoseconds(adding: $0) } == nil)
    }
}
