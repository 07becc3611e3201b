// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct RequestTableTests {
    private var table = RequestTable()

    private mutating func insert(_ id: String) throws -> RequestKey {
        let key = table.nextKey()
        table.insert(
            InFlightRequest(
                key: key, id: try #require(MessageID(id)), kind: .text, startedAt: Instant(nanoseconds: 0), wall: 0, extraBytes: 10))
        return key
    }

    @Test mutating func `keys are numbered from 1, and continue after the last key of a stored session`() {
        #expect(table.nextKey().number == 1)
        #expect(table.nextKey().number == 2)
        table.restore(lastNumber: 41)
        #expect(table.nextKey().number == 42)
        #expect(table.lastNumber == 42)
    }

    @Test mutating func `a request is found by its key until it is removed`() throws {
        let first = try insert("a")
        let second = try insert("b")
        #expect(table.index(of: second) == 1 && table.contains(first))
        table[1].inputEnded = true
        #expect(table.map(\.inputEnded) == [false, true])
        #expect(table.remove(at: 0).key == first)
        #expect(!table.contains(first) && table.index(of: first) == nil)
        #expect(table.index(of: second) == 0 && table.count == 1)
    }

    @Test mutating func `the newest of two requests with the same id is found`() throws {
        _ = try insert("a")
        let newest = try insert("a")
        #expect(table.key(of: try #require(MessageID("a"))) == newest)
        #expect(table.key(of: try #require(MessageID("b"))) == nil)
    }

    @Test mutating func `an idle upstream accepts a message of any size`() {
        #expect(table.hasRoom(for: .max, within: 0))
    }

    @Test mutating func `the upstream's queue is full at its bound`() throws {
        table.queue(1000)
        #expect(table.hasRoom(for: 24, within: 1024))
        #expect(!table.hasRoom(for: 25, within: 1024))
        #expect(!table.hasRoom(for: .max, within: .max))
        table.consume(999)
        #expect(table.queuedBytes == 1)
        table.consume(5)
        #expect(table.queuedBytes == 0)
    }

    @Test mutating func `from sixteen on, requests count as bytes even if the queue is empty`() throws {
        for index in 0..<15 { _ = try insert("m\(index)") }
        #expect(table.hasRoom(for: 1, within: 0))
        _ = try insert("m15")
        #expect(!table.hasRoom(for: 1, within: 16 * InFlightRequest.baseBytes))
        #expect(table.hasRoom(for: 0, within: 16 * InFlightRequest.baseBytes))
    }

    @Test mutating func `accepted messages are committed in order, and uncommitted ones can be removed`() throws {
        let id = try #require(MessageID("a"))
        for number in 1...4 { table.addPendingCommit(RequestKey(number: UInt64(number)), id) }
        #expect(table.acceptedCount == 4)
        table.markCommitted(first: 2)
        table.markCommitted(first: 1)
        #expect(table.pendingCommits.map(\.key.number) == [3, 4])
        #expect(table.removePendingCommits().map(\.key.number) == [3, 4])
        #expect(table.pendingCommits.isEmpty && table.acceptedCount == 4)
        table.addPendingCommit(RequestKey(number: 5), id)
        table.markCommitted(first: .max)
        #expect(table.pendingCommits.isEmpty && table.acceptedCount == 5)
    }

    @Test mutating func `the footprint includes requests, their responses and uncommitted messages`() throws {
        #expect(table.footprint == 0)
        let key = try insert("a")
        #expect(table.footprint == InFlightRequest.baseBytes + 10)
        table[0].responseText = [UInt8](repeating: 0, count: 500)
        #expect(table.footprint >= InFlightRequest.baseBytes + 510)
        let before = table.footprint
        table.addPendingCommit(key, table[0].id)
        #expect(table.footprint > before)
    }

    @Test mutating func `times are converted to the clock of another event loop`() throws {
        _ = try insert("a")
        table[0].inputEndedAt = Instant(nanoseconds: 5)
        table.move(by: .nanoseconds(100))
        #expect(table[0].startedAt == Instant(nanoseconds: 100))
        #expect(table[0].inputEndedAt == Instant(nanoseconds: 105))
        #expect(table[0].responseBeganAt == nil)
    }

    @Test mutating func `the latency is measured from the end of the audio, and without a response until now`() throws {
        _ = try insert("a")
        #expect(table[0].latency(now: Instant(nanoseconds: 9000)) == History.Latency(first: 9, last: 9))
        table[0].inputEndedAt = Instant(nanoseconds: 2000)
        table[0].responseBeganAt = Instant(nanoseconds: 5000)
        #expect(table[0].latency(now: Instant(nanoseconds: 9000)) == History.Latency(first: 3, last: 7))
        table[0].inputEndedAt = Instant(nanoseconds: 20_000)
        #expect(table[0].latency(now: Instant(nanoseconds: 9000)) == History.Latency(first: 0, last: 0))
    }
}
