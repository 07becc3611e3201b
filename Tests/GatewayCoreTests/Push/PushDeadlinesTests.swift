// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct PushDeadlinesTests {
    private func id(_ number: UInt64) -> ULID { ULID(high: number, low: 0) }

    @Test func `sessions are returned in the order of their deadlines, once each`() {
        var deadlines = PushDeadlines()
        deadlines.add(id(1), deadline: 30)
        deadlines.add(id(2), deadline: 10)
        deadlines.add(id(2), deadline: 20)
        #expect(deadlines.next(wall: 9) == nil)
        #expect(deadlines.next(wall: 30) == id(2))
        #expect(deadlines.next(wall: 30) == id(1))
        #expect(deadlines.next(wall: 30) == nil && deadlines.count == 0)
    }

    @Test func `an earlier deadline replaces a later one`() {
        var deadlines = PushDeadlines()
        deadlines.add(id(1), deadline: 30)
        deadlines.add(id(1), deadline: 10)
        #expect(deadlines.next(wall: 10) == id(1))
        #expect(deadlines.next(wall: 30) == nil)
        deadlines.add(id(1), deadline: 40)
        #expect(deadlines.next(wall: 40) == id(1))
    }
}
