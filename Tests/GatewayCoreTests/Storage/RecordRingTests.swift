// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct RecordRingTests {
    private func contents(_ ring: RecordRing<Int>) -> [[UInt8]] {
        (0..<ring.count).map { index in
            ring.withRecord(at: index) { span in
                var bytes: [UInt8] = []
                bytes.append(bytesOf: span)
                return bytes
            }
        }
    }

    private func append(_ record: [UInt8], tag: Int, to ring: inout RecordRing<Int>) {
        record.withRawSpan { ring.append($0, tag: tag) }
    }

    @Test(arguments: [(1, 8), (2, 40), (3, 300), (4, 1500), (5, 1), (6, 70)] as [(UInt64, Int)])
    func `the ring behaves like an array of records`(seed: UInt64, longest: Int) {
        var random = ULIDSource(seed: seed)
        var ring = RecordRing<Int>()
        var model: [(record: [UInt8], tag: Int)] = []
        for step in 0..<2000 {
            // Phases of growth, steady state and shrinking, so that the block wraps in every way.
            let phase = (step / 250) % 4
            let appends = phase == 0 ? 80 : phase == 3 ? 25 : 50
            if Int.random(in: 0..<100, using: &random) < appends {
                let count = Int.random(in: 0...longest, using: &random)
                let record = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
                append(record, tag: step, to: &ring)
                model.append((record, step))
            } else {
                #expect(ring.removeFirst() == model.first?.tag)
                if !model.isEmpty { model.removeFirst() }
            }
            #expect(ring.count == model.count)
            guard step % 20 == 0 else { continue }
            #expect(ring.byteCount == model.reduce(0) { $0 + $1.record.count })
            // Compared outside the macro, which would keep a description of every byte.
            let isSame = contents(ring) == model.map(\.record)
            #expect(isSame)
            #expect((0..<ring.count).map { ring.tag(at: $0) } == model.map(\.tag))
            #expect((0..<ring.count).map { ring.recordCount(at: $0) } == model.map(\.record.count))
        }
    }

    @Test func `an empty ring holds no memory, before and after its use`() {
        var ring = RecordRing<Int>()
        #expect(ring.footprint == 0 && ring.isEmpty)
        #expect(ring.removeFirst() == nil)
        for tag in 0..<100 { append([UInt8](repeating: 1, count: 1000), tag: tag, to: &ring) }
        #expect(ring.footprint >= 100_000)
        while !ring.isEmpty { ring.removeFirst() }
        #expect(ring.footprint == 0)
        append([1, 2, 3], tag: 0, to: &ring)
        #expect(contents(ring) == [[1, 2, 3]])
    }

    @Test func `the memory of many tiny records is freed, too`() {
        var ring = RecordRing<Int>()
        for tag in 0..<2000 { append([7], tag: tag, to: &ring) }
        while ring.count > 1 { ring.removeFirst() }
        // The queue of entries keeps the capacity that it has grown to.
        #expect(ring.footprint >= 2000 * 24)
        ring.removeFirst()
        #expect(ring.footprint == 0)
    }

    @Test func `a small block is kept for the next record`() {
        var ring = RecordRing<Int>()
        append([UInt8](repeating: 0, count: 100), tag: 0, to: &ring)
        let before = ring.footprint
        ring.removeFirst()
        #expect(ring.footprint == before && before <= 4096)
        append([UInt8](repeating: 0, count: 100), tag: 1, to: &ring)
        #expect(ring.footprint == before)
    }

    @Test func `a queue of constant length doesn't grow`() {
        var ring = RecordRing<Int>()
        for tag in 0..<50 { append([UInt8](repeating: 3, count: 200), tag: tag, to: &ring) }
        for tag in 0..<200 {
            ring.removeFirst()
            append([UInt8](repeating: 3, count: 200), tag: tag, to: &ring)
        }
        let steady = ring.footprint
        for tag in 0..<5000 {
            ring.removeFirst()
            append([UInt8](repeating: 3, count: 200), tag: tag, to: &ring)
        }
        #expect(ring.footprint == steady)
        #expect(steady < 3 * 10_000 + 100 * 64)
    }

    @Test func `the block is never much larger than twice its largest content`() {
        var random = ULIDSource(seed: 11)
        var ring = RecordRing<Int>()
        var peak = 0
        for tag in 0..<3000 {
            append([UInt8](repeating: 1, count: Int.random(in: 1...3000, using: &random)), tag: tag, to: &ring)
            peak = max(peak, ring.byteCount)
            while ring.byteCount > 20_000 { ring.removeFirst() }
            #expect(ring.footprint <= 2 * peak + 64 + 3000 * 64)
        }
    }

    @Test func `a tag can be changed`() {
        var ring = RecordRing<Int>()
        append([1], tag: 5, to: &ring)
        ring.updateTag(at: 0) { $0 += 1 }
        #expect(ring.tag(at: 0) == 6)
    }

    @Test func `removing all records frees their memory`() {
        var ring = RecordRing<Int>()
        for tag in 0..<10 { append([1, 2], tag: tag, to: &ring) }
        ring.removeAll()
        #expect(ring.isEmpty && ring.byteCount == 0 && ring.footprint == 0)
    }
}
