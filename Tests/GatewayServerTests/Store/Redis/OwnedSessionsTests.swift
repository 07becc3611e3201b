// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore
@testable import GatewayServer

/// The commits of a batch and the times of refreshes, by value.
@Suite struct OwnedSessionsTests {
    private let id = ULID(high: 1, low: 1)

    @Test func `a million sessions are refreshed once an interval, spread over it`() {
        var owned = OwnedSessions(interval: 1000)
        let count = 100_000
        for number in 0..<count { owned.insert(ULID(high: 0, low: UInt64(number)), OwnedSession(epoch: 1), now: 0) }
        #expect(owned.due(now: 999, calls: 10, atLeast: 10).isEmpty)
        var refreshed: [ULID: Int] = [:]
        var peak = 0
        for time in stride(from: 1000, to: 2000, by: 100) as StrideTo<Int64> {
            let due = owned.due(now: time, calls: 10, atLeast: 10)
            peak = max(peak, due.count)
            for id in due { refreshed[id, default: 0] += 1 }
        }
        #expect(refreshed.count == count && refreshed.values.allSatisfy { $0 == 1 })
        #expect(peak <= count / 5)
    }

    @Test func `ended and lost sessions aren't refreshed, and one that came back is refreshed once`() {
        var owned = OwnedSessions(interval: 10)
        owned.insert(id, OwnedSession(epoch: 1), now: 0)
        owned.drop(id, now: 1)
        #expect(owned.isDropped(id) && owned[id] == nil)
        owned.insert(id, OwnedSession(epoch: 3), now: 2)
        #expect(!owned.isDropped(id))
        #expect(owned.due(now: 20, calls: 1, atLeast: 10) == [id])
        owned.update(id) { $0.phase = .ending }
        #expect(owned.due(now: 40, calls: 1, atLeast: 10).isEmpty)
        owned.remove(id)
        #expect(owned.due(now: 60, calls: 1, atLeast: 10).isEmpty && owned.count == 0)
    }

    @Test func `a dropped session is forgotten after ten minutes`() {
        var owned = OwnedSessions(interval: 10)
        owned.drop(id, now: 0)
        owned.drop(ULID(high: 2, low: 2), now: 600_000_000_000)
        #expect(owned.isDropped(id))
        owned.drop(ULID(high: 3, low: 3), now: 600_000_000_001)
        #expect(!owned.isDropped(id) && owned.isDropped(ULID(high: 2, low: 2)))
    }

    @Test func `a put after a removal of its record needs a second commit`() {
        var batch = StoreBatch()
        batch.add(id, .history, 5)
        batch.remove(id, .history, 5..<6)
        batch.add(id, .history, 6)
        batch.add(ULID(high: 2, low: 2))
        batch.add(id, .history, 5)
        let sessions = SessionChanges.all(of: batch)
        #expect(sessions.map(\.id) == [id, ULID(high: 2, low: 2)])
        #expect(sessions[0].commits.map { $0.puts.map(\.number) } == [[6], [5]])
        #expect(sessions[0].commits.map(\.removals.count) == [1, 0])
    }

    @Test func `names of records are parsed; other fields of the hash aren't records`() {
        for number in [0, 1, 255, 1 << 32, .max] as [UInt64] {
            let parsed = RecordField.parse(RecordField.name(.chunk, number))
            #expect(parsed?.kind == .chunk && parsed?.number == number)
        }
        #expect(RecordField.parse([0x71]) == nil && RecordField.parse([99] + [UInt8](repeating: 0, count: 8)) == nil)
        let tokens = [TokenHash(1, 2, 3, 4), TokenHash(.max, 0, 1 << 63, 9)]
        #expect(TokenHash.parse(field: TokenHash.field(tokens)) == tokens)
        #expect(TokenHash.parse(field: [1]).isEmpty)
    }
}
