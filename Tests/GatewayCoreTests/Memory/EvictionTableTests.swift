// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct EvictionTableTests {
    private func client(_ number: UInt64) -> ClientKey { .address(high: 0, low: number) }

    /// A table with an entry for each of the clients, inserted in this order. The ids are counted from 0.
    private func table(_ clients: [UInt64]) -> EvictionTable<Int> {
        var table = EvictionTable<Int>()
        for (id, number) in clients.enumerated() { table.insert(id, of: client(number)) }
        return table
    }

    @Test(
        arguments: [
            // A client's own oldest entry is evicted first, however much others hold.
            ([1, 2, 2, 2, 1], 1, 0), ([2, 2, 2, 1], 1, 3),
            // For a client without entries, the oldest entry of the client that holds the most is evicted.
            ([1, 2, 2, 3], 9, 1), ([3, 3, 1, 2, 2, 2], 9, 3),
            // Between equal clients, the oldest entry is evicted.
            ([2, 1, 1, 2], 9, 0), ([1, 2, 2, 1], 9, 0),
            // The single entry of another client isn't evicted.
            ([1, 2, 3], 9, nil), ([], 9, nil),
        ] as [([UInt64], UInt64, Int?)])
    func `the client's own oldest entry is evicted, then the oldest of the client that holds the most`(
        clients: [UInt64], newcomer: UInt64, victim: Int?
    ) {
        #expect(table(clients).victim(for: client(newcomer)) == victim)
    }

    @Test func `the new entry itself isn't evicted`() {
        #expect(table([1, 2, 2]).victim(for: client(1), sparing: 0) == 1)
        #expect(table([1, 1, 2, 2]).victim(for: client(1), sparing: 1) == 0)
        #expect(table([1, 2]).victim(for: client(1), sparing: 0) == nil)
    }

    @Test func `single entries are evicted if allowed, the oldest first`() {
        #expect(table([3, 2, 1]).victim(for: client(9), single: true) == 0)
    }

    @Test func `weights decide which client holds the most`() {
        var table = EvictionTable<Int>()
        table.insert(1, of: client(1), weight: 100)
        table.insert(2, of: client(1), weight: 100)
        for id in 3...9 { table.insert(id, of: client(2), weight: 10) }
        #expect(table.victim(for: client(3)) == 1)
        table.remove(1)
        #expect(table.weight == 170 && table.victim(for: client(3), single: true) == 2)
    }

    @Test func `an entry that is inserted again is the newest, and counts once`() {
        var table = table([1, 1, 1])
        table.insert(0, of: client(1))
        #expect(table.count == 3 && table.count(of: client(1)) == 3)
        #expect(table.victim(for: client(1)) == 1)
        table.insert(1, of: client(2))
        #expect(table.count(of: client(1)) == 2 && table.count(of: client(2)) == 1)
        #expect(table.victim(for: client(1)) == 2)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `counts and victims are those of a plain list`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        var table = EvictionTable<Int>()
        var list: [(id: Int, client: UInt64)] = []
        for _ in 0..<3000 {
            let id = Int.random(in: 0..<60, using: &random)
            let number = UInt64.random(in: 0..<6, using: &random)
            list.removeAll { $0.id == id }
            if Bool.random(using: &random) {
                table.insert(id, of: client(number))
                list.append((id, number))
            } else {
                table.remove(id)
            }
            let counts = Dictionary(grouping: list, by: \.client).mapValues(\.count)
            #expect(table.count == list.count && table.contains(id) == list.contains { $0.id == id })
            let newcomer = UInt64.random(in: 0..<8, using: &random)
            let most = counts.filter { $0.key != newcomer && $0.value > 1 }.values.max()
            let own = list.first { $0.client == newcomer }
            let others = list.first { $0.client != newcomer && most != nil && counts[$0.client] == most }
            #expect(table.victim(for: client(newcomer)) == (own ?? others)?.id)
        }
    }
}
