package import GatewayCore

/// When a client says what it has received: at least once in 64 sequenced messages and once a second, and on every `session`
/// (protocol page, section "Messages").
package struct AcknowledgementSchedule: Sendable {
    /// Well below what the protocol asks for.
    package static let messages = 32
    package static let delay = Duration.milliseconds(500)

    /// The highest sequence number received; 0 when nothing came.
    package private(set) var received: Int64 = 0
    private var pending = 0
    /// When the next one is due; nil while there is nothing to acknowledge.
    package private(set) var deadline: Instant?

    package init() {}

    /// A `session` is acknowledged at once, even when nothing came.
    package mutating func opened(now: Instant) {
        deadline = now
    }

    /// A sequenced JSON message. Its number may jump.
    package mutating func received(_ sequence: Int64, now: Instant) {
        received = max(received, sequence)
        count(now)
    }

    /// A binary message: it carries no number, and counts on from the one before.
    package mutating func receivedBinary(now: Instant) {
        let (sum, overflow) = received.addingReportingOverflow(1)
        if !overflow { received = sum }
        count(now)
    }

    private mutating func count(_ now: Instant) {
        pending += 1
        let due = pending >= Self.messages ? now : now.advanced(by: Self.delay)
        deadline = deadline.map { min($0, due) } ?? due
    }

    /// The number to acknowledge, when one is due.
    package mutating func take(now: Instant) -> Int64? {
        guard let deadline, deadline <= now else { return nil }
        self.deadline = nil
        pending = 0
        return received
    }
}
