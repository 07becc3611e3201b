// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct TurnLogTests {
    private let start = Instant(nanoseconds: 0)

    private func turn(_ number: Int, audioOut: UInt32 = 0) throws -> Turn {
        let id = try #require(MessageID("t\(number)"))
        var turn = Turn(id: id, request: UInt64(number), kind: .text, startedAt: Int64(number))
        turn.audioOut = audioOut
        return turn
    }

    private func log(of count: Int) throws -> TurnLog {
        var log = TurnLog()
        for number in 0..<count { log.append(try turn(number), started: start, lastSequence: UInt64(number + 1)) }
        return log
    }

    @Test(arguments: [
        (TurnLog.limit - 1, 0), (TurnLog.limit, 0), (TurnLog.limit + 1, 1), (3 * TurnLog.limit, 2 * TurnLog.limit),
    ])
    func `a full log replaces the oldest turn`(count: Int, pruned: Int) throws {
        let log = try log(of: count)
        #expect(log.turns.map(\.request) == (pruned..<count).map(UInt64.init))
        #expect(log.count == count - pruned && log.pruned == UInt64(pruned))
    }

    @Test func `a full log does not grow`() throws {
        var log = try log(of: TurnLog.limit)
        let footprint = log.footprint
        for number in 0..<1000 { log.append(try turn(number), started: start, lastSequence: 100) }
        #expect(log.footprint == footprint && footprint > 0)
        #expect(TurnLog().footprint == 0)
    }

    @Test func `failures count toward the footprint until their turn is removed`() throws {
        var log = TurnLog()
        var failed = try turn(0)
        failed.failures = [Turn.Failure(at: 1, code: .overloaded, correlationID: ULID(high: 1, low: 2))]
        log.append(failed, started: start, lastSequence: 1)
        for number in 1..<TurnLog.limit { log.append(try turn(number), started: start, lastSequence: 1) }
        let withFailure = log.footprint
        log.append(try turn(99), started: start, lastSequence: 1)
        #expect(log.footprint == withFailure - MemoryLayout<Turn.Failure>.stride)
    }

    @Test func `an acknowledgement delivers the turns up to its number, once`() throws {
        var log = try log(of: 4)
        log.acknowledge(0, now: start + .milliseconds(1))
        #expect(log.turns.allSatisfy { $0.offsets[.delivered] == nil })
        log.acknowledge(2, now: start + .milliseconds(10))
        log.acknowledge(1, now: start + .milliseconds(20))
        log.acknowledge(3, now: start + .milliseconds(30))
        #expect(log.turns.map { $0.offsets[.delivered] } == [10, 10, 30, nil])
    }

    @Test func `an acknowledgement skips the turns that were removed`() throws {
        var log = try log(of: TurnLog.limit + 10)
        log.acknowledge(11, now: start + .milliseconds(5))
        #expect(log.turns.first?.offsets[.delivered] == 5 && log.turns[1].offsets[.delivered] == nil)
    }

    @Test(arguments: [(979, nil), (980, 40), (1000, 40), (Int64.max, 40), (-5, nil)] as [(Int64, UInt32?)])
    func `progress up to the tolerance before the end marks the turn as played`(progress: Int64, offset: UInt32?) throws {
        var log = TurnLog()
        log.append(try turn(7, audioOut: 1000), started: start, lastSequence: 1)
        log.update(played: progress, of: try #require(MessageID("t7")), now: start + .milliseconds(40))
        #expect(log.turns[0].offsets[.played] == offset)
        #expect(log.turns[0].isPlayed == (offset != nil))
    }

    @Test func `progress never decreases, and concerns the newest turn of its id`() throws {
        var log = TurnLog()
        log.append(try turn(7, audioOut: 1000), started: start, lastSequence: 1)
        log.append(try turn(7, audioOut: 1000), started: start, lastSequence: 2)
        let id = try #require(MessageID("t7"))
        log.update(played: 1000, of: id, now: start + .milliseconds(40))
        log.update(played: 10, of: id, now: start + .milliseconds(50))
        log.update(played: 1000, of: try #require(MessageID("t8")), now: start + .milliseconds(60))
        #expect(log.turns.map(\.played) == [0, 1000] && log.turns[1].offsets[.played] == 40)
    }

    @Test func `a response without audio is never played`() throws {
        var log = try log(of: 1)
        log.update(played: 1000, of: try #require(MessageID("t0")), now: start)
        #expect(log.turns[0].offsets[.played] == nil)
    }
}
