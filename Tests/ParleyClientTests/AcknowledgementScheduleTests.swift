// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import ParleyClient
import Testing

@Suite struct AcknowledgementScheduleTests {
    private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func `a session message is acknowledged at once, with 0 before the first sequenced message`() {
        var schedule = AcknowledgementSchedule()
        #expect(schedule.dueSequence(now: Self.at(0)) == nil)
        schedule.opened(now: Self.at(1))
        #expect(schedule.dueSequence(now: Self.at(1)) == 0)
        #expect(schedule.dueSequence(now: Self.at(60_000)) == nil)
    }

    @Test func `a message is acknowledged within half a second`() {
        var schedule = AcknowledgementSchedule()
        schedule.received(1, now: Self.at(0))
        schedule.received(2, now: Self.at(400))
        #expect(schedule.dueSequence(now: Self.at(499)) == nil)
        #expect(schedule.deadline == Self.at(500))
        #expect(schedule.dueSequence(now: Self.at(500)) == 2)
        #expect(schedule.deadline == nil)
    }

    @Test func `a burst of messages is acknowledged before the protocol's limit of 64`() {
        var schedule = AcknowledgementSchedule()
        for sequence in 1..<Int64(AcknowledgementSchedule.messages) { schedule.received(sequence, now: Self.at(0)) }
        #expect(schedule.dueSequence(now: Self.at(0)) == nil)
        schedule.receivedBinary(now: Self.at(0))
        #expect(schedule.dueSequence(now: Self.at(0)) == Int64(AcknowledgementSchedule.messages))
    }

    @Test func `a binary message increments the sequence number; JSON messages may skip numbers`() {
        var schedule = AcknowledgementSchedule()
        schedule.received(7, now: Self.at(0))
        schedule.receivedBinary(now: Self.at(0))
        #expect(schedule.received == 8)
        schedule.received(20, now: Self.at(0))
        schedule.received(3, now: Self.at(0))
        #expect(schedule.received == 20)
        schedule.received(.max, now: Self.at(0))
        schedule.receivedBinary(now: Self.at(0))
        #expect(schedule.received == .max)
    }
}
