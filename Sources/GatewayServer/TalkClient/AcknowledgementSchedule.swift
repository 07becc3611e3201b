// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The schedule on which a client acknowledges sequenced messages. The protocol requires an `ack` at least every 64 messages, once a second,
/// and after every `session` (protocol page, section "Messages").
package struct AcknowledgementSchedule: Sendable {
    /// Messages and time after which an `ack` is due: half of what the protocol allows.
    package static let messages = 32
    package static let delay = Duration.milliseconds(500)

    /// The highest sequence number received; 0 if there is none.
    package private(set) var received: Int64 = 0
    private var pending = 0
    /// The time at which the next `ack` is due; nil if there is nothing to acknowledge.
    package private(set) var deadline: Instant?

    package init() {}

    /// Schedules an immediate `ack` after a `session`, even if no sequenced message was received.
    package mutating func opened(now: Instant) {
        deadline = now
    }

    /// Records a sequenced JSON message. Its number may skip values.
    package mutating func received(_ sequence: Int64, now: Instant) {
        received = max(received, sequence)
        count(now)
    }

    /// Records a binary message, whose sequence number is that of the previous message plus one.
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

    /// Returns the sequence number to acknowledge if an `ack` is due, and clears the schedule.
    package mutating func dueSequence(now: Instant) -> Int64? {
        guard let deadline, deadline <= now else { return nil }
        self.deadline = nil
        pending = 0
        return received
    }
}
