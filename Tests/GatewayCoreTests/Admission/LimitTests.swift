// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct LimitTests {
    @Test func `each limit has its own key and value`() {
        var table = LimitTable { 0 }
        for limit in Limit.allCases { table[limit] += limit.rawValue }
        #expect(Limit.allCases.map { table[$0] } == Array(0..<8))
        #expect(Set(Limit.allCases.map(\.name)).count == 8)
    }

    @Test func `a copy of a table keeps its values`() {
        var table = LimitTable { Limiter() }
        let rate = Rate(units: 1, per: .seconds(1), burst: 1)
        let copy = table
        #expect(table[.violation].admit(1, at: rate, now: Instant(nanoseconds: 0)) == nil)
        #expect(table[.violation].wait(for: 1, at: rate, now: Instant(nanoseconds: 0)) != nil)
        #expect(copy[.violation].wait(for: 1, at: rate, now: Instant(nanoseconds: 0)) == nil)
    }
}
