// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct ClientLimitersTests {
    private static let perSecond = Rate(units: 10, per: .seconds(1), burst: 5)

    private func client(_ number: UInt64) -> ClientKey { .address(high: 0, low: number) }

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test(arguments: [0.1, 0.5, 1, 2.5, 10])
    func `a factor multiplies the rate and the burst`(factor: Double) {
        let rate = Self.perSecond.multiplied(by: factor)
        var limiter = Limiter()
        var admitted = 0
        while limiter.admit(1, at: rate, now: at(0)) == nil { admitted += 1 }
        #expect(admitted == max(1, Int(5 * factor)))
        for millisecond in 1...10_000 as ClosedRange<Int64> where limiter.admit(1, at: rate, now: at(millisecond)) == nil { admitted += 1 }
        #expect(abs(admitted - Int(5 * factor + 100 * factor)) <= 1)
    }

    @Test func `a factor of 0, or a limit that is off, gives an unlimited rate`() {
        #expect(Self.perSecond.multiplied(by: 0).isUnlimited && Rate.unlimited.multiplied(by: 10).isUnlimited)
    }

    @Test func `limits are independent of each other`() {
        let limiters = ClientLimiters()
        for limit in Limit.allCases {
            for _ in 0..<5 { #expect(limiters.admit(limit, 1, at: Self.perSecond, now: at(0)) == nil) }
            #expect(limiters.remaining(limit, at: Self.perSecond, now: at(0)) == 0)
            #expect(limiters.wait(limit, for: 1, at: Self.perSecond, now: at(0))?.nanoseconds == 100_000_000)
            #expect(limiters.admit(limit, 1, at: Self.perSecond, now: at(0))?.nanoseconds == 100_000_000)
        }
    }

    @Test func `a message larger than the burst is admitted when nothing is owed`() {
        let limiters = ClientLimiters()
        #expect(limiters.admit(.byte, 50, at: Self.perSecond, now: at(0)) == nil)
        #expect(limiters.admit(.byte, 1, at: Self.perSecond, now: at(4599)) != nil)
        #expect(limiters.admit(.byte, 1, at: Self.perSecond, now: at(4600)) == nil)
    }

    @Test func `a client's limiters are kept as long as the client owes something or has a session`() {
        let table = ClientLimiterTable()
        do {
            let first = table.limiters(of: client(1), now: at(0))
            for _ in 0..<5 { _ = first.admit(.text, 1, at: Self.perSecond, now: at(0)) }
            #expect(table.limiters(of: client(1), now: at(0)) === first)
            table.sweep(now: at(10_000))
            withExtendedLifetime(first) { #expect(table.count == 1) }
        }
        #expect(table.limiters(of: client(1), now: at(0)).admit(.text, 1, at: Self.perSecond, now: at(0)) != nil)
        table.sweep(now: at(499))
        #expect(table.count == 1)
        table.sweep(now: at(500))
        #expect(table.count == 0)
    }

    @Test func `the table stays within its bound, and keeps the limiters of clients with a session`() {
        let table = ClientLimiterTable(maximumCount: 2000)
        let kept = table.limiters(of: client(0), now: at(0))
        for number in 1...20_000 as ClosedRange<UInt64> {
            let limiters = table.limiters(of: client(number), now: at(0))
            for _ in 0..<(number % 5 + 1) { _ = limiters.admit(.text, 1, at: Self.perSecond, now: at(0)) }
            #expect(table.count <= 2000)
        }
        #expect(table.limiters(of: client(0), now: at(0)) === kept)
        // Limiters that owe nothing are removed first.
        for number in 30_000...40_000 as ClosedRange<UInt64> { _ = table.limiters(of: client(number), now: at(1_000_000)) }
        #expect(table.count <= 2000)
    }
}
