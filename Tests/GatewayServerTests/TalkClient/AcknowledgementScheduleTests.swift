import GatewayCore
import GatewayServer
import Testing

@Suite struct AcknowledgementScheduleTests {
    private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func `a session is acknowledged at once, with 0 when nothing came`() {
        var schedule = AcknowledgementSchedule()
        #expect(schedule.take(now: Self.at(0)) == nil)
        schedule.opened(now: Self.at(1))
        #expect(schedule.take(now: Self.at(1)) == 0)
        #expect(schedule.take(now: Self.at(60_000)) == nil)
    }

    @Test func `a message is acknowledged within half a second`() {
        var schedule = AcknowledgementSchedule()
        schedule.received(1, now: Self.at(0))
        schedule.received(2, now: Self.at(400))
        #expect(schedule.take(now: Self.at(499)) == nil)
        #expect(schedule.deadline == Self.at(500))
        #expect(schedule.take(now: Self.at(500)) == 2)
        #expect(schedule.deadline == nil)
    }

    @Test func `many messages are acknowledged well before the protocol's 64`() {
        var schedule = AcknowledgementSchedule()
        for sequence in 1..<Int64(AcknowledgementSchedule.messages) { schedule.received(sequence, now: Self.at(0)) }
        #expect(schedule.take(now: Self.at(0)) == nil)
        schedule.receivedBinary(now: Self.at(0))
        #expect(schedule.take(now: Self.at(0)) == Int64(AcknowledgementSchedule.messages))
    }

    @Test func `binary messages count on, and JSON messages may jump`() {
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
