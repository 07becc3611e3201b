// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct RecentIDsTests {
    private static func id(_ number: Int) throws -> MessageID {
        // Ids of many lengths that differ only in their last characters.
        try #require(MessageID(String(repeating: "p", count: number % 50) + "\(number)"))
    }

    @Test(arguments: [0, 1, 7, 1000])
    func `the set behaves like a dictionary with a queue`(capacity: Int) throws {
        var random = ULIDSource(seed: UInt64(capacity) + 1)
        var recent = RecentIDs(capacity: capacity)
        var kinds: [Int: RecentIDs.Kind] = [:]
        var queue: [Int] = []
        var oldest = 0
        // Fewer names than rounds and more than the capacity: hits, misses and evicted ids all occur.
        let names = try (0..<capacity * 2 + 20).map { try Self.id($0) }
        for _ in 0..<100_000 {
            let number = Int.random(in: 0..<names.count, using: &random)
            let known = recent.kind(of: names[number])
            #expect(known == kinds[number])
            guard known == nil else { continue }
            let kind: RecentIDs.Kind = Bool.random(using: &random) ? .text : .audio
            recent.insert(names[number], kind: kind)
            guard capacity > 0 else { continue }
            kinds[number] = kind
            queue.append(number)
            if queue.count - oldest > capacity {
                kinds[queue[oldest]] = nil
                oldest += 1
            }
            #expect(recent.count == queue.count - oldest)
        }
        #expect(recent.count == min(capacity, kinds.count))
    }

    @Test func `the last thousand ids are found, the one before isn't`() throws {
        var recent = RecentIDs(capacity: 1000)
        for number in 0..<1001 { try recent.insert(Self.id(number), kind: .text) }
        #expect(try recent.kind(of: Self.id(0)) == nil)
        for number in 1..<1001 { #expect(try recent.kind(of: Self.id(number)) == .text) }
    }

    @Test func `memory stays within a bound however many ids are added`() throws {
        var recent = RecentIDs(capacity: 100)
        #expect(recent.footprint == 0)
        var peak = 0
        for number in 0..<20_000 {
            try recent.insert(Self.id(number), kind: .audio)
            peak = max(peak, recent.footprint)
        }
        // Per id at most 64 bytes, twice because of the block's growth, an entry and two slots.
        #expect(peak <= 101 * (2 * 64 + 48) + 256 * 4 + 64)
    }
}
