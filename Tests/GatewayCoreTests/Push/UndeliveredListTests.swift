// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct UndeliveredListTests {
    private static let user = "ada"
    private static let session = ULID(high: 9, low: 9)

    private func failed(_ number: UInt64) -> FailedPush {
        FailedPush(Push(id: ULID(high: number, low: 0), PushRequest(.text([0x61])), to: .session), .expired)
    }

    private func add(_ number: UInt64, to list: inout UndeliveredList, at wall: Int64 = 0, as id: UInt64 = 100) {
        list.add(failed(number), session: Self.session, user: Self.user, wall: wall) { ULID(high: id, low: 0) }
    }

    private func ids(_ entries: [UndeliveredList.Entry]) -> [UInt64] { entries.map(\.id.high) }

    @Test func `the oldest entry is dropped beyond the limit, and counted`() {
        var list = UndeliveredList(limit: 2)
        for number in 1...2 as ClosedRange<UInt64> { add(number, to: &list) }
        #expect(ids(list.entries) == [1, 2] && list.dropped == 0)
        add(3, to: &list)
        #expect(ids(list.entries) == [2, 3] && list.dropped == 1)
        list.limit = 1
        #expect(ids(list.entries) == [3] && list.dropped == 2)
        var none = UndeliveredList(limit: 0)
        add(1, to: &none)
        #expect(none.entries.isEmpty)
    }

    @Test func `an entry is kept for 24 hours, not longer`() {
        var list = UndeliveredList(limit: 2)
        add(1, to: &list, at: 1000)
        #expect(ids(list.page(after: nil, limit: 10, wall: 1000 + 86_399_999)) == [1])
        #expect(list.page(after: nil, limit: 10, wall: 1000 + 86_400_000).isEmpty)
    }

    @Test func `pages are in the order of ids`() {
        var list = UndeliveredList(limit: 10)
        for number in [3, 1, 2] as [UInt64] { add(number, to: &list) }
        #expect(ids(list.page(after: nil, limit: 2, wall: 0)) == [1, 2])
        #expect(ids(list.page(after: ULID(high: 2, low: 0), limit: 2, wall: 0)) == [3])
    }

    @Test func `a further entry of the same push has its own id, and the id of the push takes both, once`() {
        var list = UndeliveredList(limit: 10)
        add(1, to: &list)
        add(1, to: &list, as: 50)
        add(2, to: &list)
        #expect(ids(list.entries) == [1, 50, 2])
        #expect(ids(list.take([ULID(high: 50, low: 0)], wall: 0)) == [50])
        add(1, to: &list, as: 60)
        #expect(ids(list.take([ULID(high: 1, low: 0)], wall: 0)) == [1, 60])
        #expect(list.take([ULID(high: 1, low: 0)], wall: 0).isEmpty)
        #expect(ids(list.entries) == [2])
    }

    @Test func `erasing a session removes its entries`() {
        var list = UndeliveredList(limit: 10)
        add(1, to: &list)
        list.erase(ULID(high: 1, low: 1))
        #expect(list.entries.count == 1)
        list.erase(Self.session)
        #expect(list.entries.isEmpty)
    }
}
