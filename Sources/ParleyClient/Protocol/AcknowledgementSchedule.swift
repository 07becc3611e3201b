// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The sequence numbers of received messages: recognizes repeated messages, and schedules acknowledgements. The protocol requires an `ack` at
/// least every 64 messages, once a second, and after every `session` (protocol page, section "Messages").
package struct AcknowledgementSchedule: Sendable {
    /// Messages and time after which an `ack` is due: half of what the protocol allows.
    package static let messages = 32
    package static let delay = Duration.milliseconds(500)

    /// The highest sequence number received; 0 if there is none.
    package private(set) var received: Int64 = 0
    /// The sequence number of the newest message on this connection, which may repeat earlier messages.
    private var cursor: Int64 = 0
    private var pending = 0
    /// The time at which the next `ack` is due; nil if there is nothing to acknowledge.
    package private(set) var deadline: Instant?

    package init() {}

    /// Schedules an immediate `ack` after a `session`, even if no sequenced message was received.
    package mutating func opened(now: Instant) {
        deadline = now
    }

    /// Starts to receive on a new connection of the same session, on which the gateway continues after ``received``.
    package mutating func resumed() {
        cursor = received
        (pending, deadline) = (0, nil)
    }

    /// Records a sequenced JSON message. Its number may skip values, since the gateway drops messages of cancelled requests.
    ///
    /// - Returns: false if the message is a repetition
    @discardableResult
    package mutating func received(_ sequence: Int64, now: Instant) -> Bool {
        cursor = sequence
        return record(now)
    }

    /// Records a binary message, whose sequence number is that of the previous message plus one.
    ///
    /// - Returns: false if the message is a repetition
    @discardableResult
    package mutating func receivedBinary(now: Instant) -> Bool {
        let (sum, overflow) = cursor.addingReportingOverflow(1)
        if !overflow { cursor = sum }
        return record(now) && !overflow
    }

    private mutating func record(_ now: Instant) -> Bool {
        // Repeated messages are acknowledged as well, so that the gateway stops repeating them.
        count(now)
        guard cursor > received else { return false }
        received = cursor
        return true
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
