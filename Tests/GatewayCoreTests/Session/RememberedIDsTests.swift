import GatewayCore
import Testing

@Suite struct RememberedIDsTests {
    private static func id(_ number: Int) throws -> MessageID {
        // Ids of many lengths, that differ in their last characters only.
        try #require(MessageID(String(repeating: "p", count: number % 50) + "\(number)"))
    }

    @Test(arguments: [0, 1, 7, 1000])
    func `it remembers what a set and a queue would`(capacity: Int) throws {
        var random = ULIDSource(seed: UInt64(capacity) + 1)
        var remembered = RememberedIDs(capacity: capacity)
        var kinds: [Int: RememberedIDs.Kind] = [:]
        var queue: [Int] = []
        var oldest = 0
        // Fewer names than rounds and more than fit: hits, misses and forgotten ones all come up.
        let names = try (0..<capacity * 2 + 20).map { try Self.id($0) }
        for _ in 0..<100_000 {
            let number = Int.random(in: 0..<names.count, using: &random)
            let known = remembered.kind(of: names[number])
            #expect(known == kinds[number])
            guard known == nil else { continue }
            let kind: RememberedIDs.Kind = Bool.random(using: &random) ? .text : .audio
            remembered.insert(names[number], kind: kind)
            guard capacity > 0 else { continue }
            kinds[number] = kind
            queue.append(number)
            if queue.count - oldest > capacity {
                kinds[queue[oldest]] = nil
                oldest += 1
            }
            #expect(remembered.count == queue.count - oldest)
        }
        #expect(remembered.count == min(capacity, kinds.count))
    }

    @Test func `the last thousand are remembered, the one before them is not`() throws {
        var remembered = RememberedIDs(capacity: 1000)
        for number in 0..<1001 { try remembered.insert(Self.id(number), kind: .text) }
        #expect(try remembered.kind(of: Self.id(0)) == nil)
        for number in 1..<1001 { #expect(try remembered.kind(of: Self.id(number)) == .text) }
    }

    @Test func `memory stays within a bound however long a session lives`() throws {
        var remembered = RememberedIDs(capacity: 100)
        #expect(remembered.footprint == 0)
        var most = 0
        for number in 0..<20_000 {
            try remembered.insert(Self.id(number), kind: .audio)
            most = max(most, remembered.footprint)
        }
        // 64 bytes an id at most, twice for the block, an entry and two slots each.
        #expect(most <= 101 * (2 * 64 + 48) + 256 * 4 + 64)
    }
}
