// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct MemoryReclaimTests {
    private static let reclaim = MemoryReclaim(budget: 100_000_000)

    private static func id(_ number: UInt64) -> ULID { ULID(high: 0, low: number) }

    /// The usage of a session, with sizes in thousands of bytes.
    private static func usage(
        _ number: UInt64, of client: UInt64, _ total: Int, history: Int = 0, isAttached: Bool = false
    ) -> MemoryReclaim.Usage {
        MemoryReclaim.Usage(
            id: id(number), loop: Int(number % 2), client: .address(high: 0, low: client), total: total * 1000, history: history * 1000,
            isAttached: isAttached)
    }

    private static func steps(_ sessions: [MemoryReclaim.Usage], forNewSession: Bool = false) -> [String] {
        reclaim.steps(for: sessions, forNewSession: forNewSession).map { step in
            switch step {
            case .dropHistory(let id, _): "drop \(id.low)"
            case .endDetached(let id, _): "end \(id.low)"
            case .endAttached(let id, _): "close \(id.low)"
            }
        }
    }

    @Test(arguments: [(89_999, 0), (90_000, 1), (99_999, 1)])
    func `histories are dropped from 90 % on, and no session ends below 100 %`(total: Int, drops: Int) {
        let steps = Self.steps([Self.usage(1, of: 1, total - 10_000, history: 20_000), Self.usage(2, of: 1, 10_000)])
        #expect(steps == (drops > 0 ? ["drop 1"] : []))
    }

    @Test func `the largest history is dropped first, and no more than necessary`() {
        let sessions = [
            Self.usage(1, of: 1, 30_000, history: 3000), Self.usage(2, of: 1, 30_000, history: 9000, isAttached: true),
            Self.usage(3, of: 1, 32_000, history: 5000),
        ]
        #expect(Self.steps(sessions) == ["drop 2"])
        #expect(Self.steps(sessions + [Self.usage(4, of: 1, 7500)]) == ["drop 2", "drop 3"])
    }

    @Test func `a client that fills the budget with small histories loses them, and another client keeps a large one`() {
        let flood = (1...180 as ClosedRange<UInt64>).map { Self.usage($0, of: 1, 500, history: 100) }
        let steps = Self.steps(flood + [Self.usage(900, of: 2, 1000, history: 900)])
        #expect(!steps.isEmpty && !steps.contains("drop 900"))
    }

    @Test func `at 100 % detached sessions end, the largest of the client that uses the most, until 5 % are free`() {
        let flood = (1...50 as ClosedRange<UInt64>).map { Self.usage($0, of: 1, 1950 + Int($0)) }
        let other = Self.usage(900, of: 2, 3000)
        #expect(Self.steps(flood + [other]) == ["end 50", "end 49", "end 48", "end 47"])
    }

    @Test func `a client below the average loses no detached session, whatever others use`() {
        let others = (901...910 as ClosedRange<UInt64>).map { Self.usage($0, of: $0, 2000, history: 10) }
        let attached = (1...20 as ClosedRange<UInt64>).map { Self.usage($0, of: 1, 4500, isAttached: true) }
        // Attached sessions, over the budget but within the overhead, use all that could be freed.
        #expect(Set(Self.steps(others + attached)) == Set(others.map { "drop \($0.id.low)" }))
    }

    @Test func `beyond the overhead attached sessions end, the largest of the client that uses the most`() {
        // 100 MB and 16 MiB.
        let others = (900...909 as ClosedRange<UInt64>).map { Self.usage($0, of: $0, 2000, isAttached: true) }
        func attached(_ count: UInt64) -> [MemoryReclaim.Usage] {
            (1...count).map { Self.usage($0, of: 1, 12_000 + Int($0), isAttached: true) }
        }
        // A detached session ends first, and within the overhead no other session.
        #expect(Self.steps(others + attached(8) + [Self.usage(9, of: 1, 100)]) == ["end 9"])
        #expect(Self.steps(others + attached(9)) == ["close 9", "close 8", "close 7"])
    }

    @Test func `a new session gets the memory of a client with several detached sessions, if that frees enough`() {
        let flood = (1...30 as ClosedRange<UInt64>).map { Self.usage($0, of: 1, 3000) }
        let single = Self.usage(900, of: 2, 4000)
        #expect(Self.steps(flood + [single]).isEmpty)
        #expect(Self.steps(flood + [single], forNewSession: true) == ["end 1", "end 2"])
        // No session ends unless that frees enough.
        let busy = Self.usage(1, of: 1, 89_000, isAttached: true)
        #expect(Self.steps([busy, Self.usage(2, of: 1, 1000), Self.usage(3, of: 1, 1)], forNewSession: true) == ["end 2"])
        #expect(Self.steps([busy, Self.usage(2, of: 1, 2), Self.usage(3, of: 1, 999)], forNewSession: true).isEmpty == false)
        #expect(Self.steps([busy, Self.usage(2, of: 1, 2000)], forNewSession: true).isEmpty)
    }

    @Test func `without a budget no threshold is reached`() {
        let reclaim = MemoryReclaim(budget: .max)
        #expect(!reclaim.isShort(.max) && !reclaim.isExhausted(.max) && !reclaim.isOverLimit(.max))
        #expect(reclaim.steps(for: [Self.usage(1, of: 1, 1 << 40)]).isEmpty)
    }

    @Test func `thresholds are exact`() {
        #expect(!Self.reclaim.isShort(89_999_999) && Self.reclaim.isShort(90_000_000))
        #expect(!Self.reclaim.isExhausted(99_999_999) && Self.reclaim.isExhausted(100_000_000))
        let limit = 100_000_000 + (16 << 20)
        #expect(!Self.reclaim.isOverLimit(limit - 1) && Self.reclaim.isOverLimit(limit))
        let large = MemoryReclaim(budget: 1 << 30)
        #expect(large.overhead == (1 << 30) / 10)
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `each step names a session and its event loop, and no step is repeated`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        let sessions = (1...200 as ClosedRange<UInt64>).map { number in
            let total = Int.random(in: 1...1400, using: &random)
            return Self.usage(
                number, of: UInt64.random(in: 1...9, using: &random), total, history: Int.random(in: 0...total, using: &random),
                isAttached: Bool.random(using: &random))
        }
        let byID = Dictionary(uniqueKeysWithValues: sessions.map { ($0.id, $0) })
        var seen: Set<MemoryReclaim.Step> = []
        for step in Self.reclaim.steps(for: sessions.shuffled(using: &random)) {
            #expect(seen.insert(step).inserted)
            switch step {
            case .dropHistory(let id, let loop): #expect(byID[id]?.loop == loop)
            case .endDetached(let id, let loop): #expect(byID[id]?.loop == loop && byID[id]?.isAttached == false)
            case .endAttached(let id, let loop): #expect(byID[id]?.loop == loop && byID[id]?.isAttached == true)
            }
        }
        #expect(Self.reclaim.steps(for: sessions) == Self.reclaim.steps(for: sessions.reversed()))
    }
}
