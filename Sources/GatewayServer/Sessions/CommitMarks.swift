// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The commits that a session waits for, and the state that each makes durable.
struct CommitMarks {
    /// The uncommitted tickets, the oldest first, each with the sequence number and the count of accepted messages that it makes durable.
    private var marks: Deque<(ticket: UInt64, sequence: UInt64, accepted: UInt64)> = []
    /// The last durable sequence number; meaningful only while ``marks`` isn't empty.
    private var durable: UInt64 = 0
    /// The ticket that the `session` message waits for. Nothing is sent before that message.
    private var sessionMessageTicket: UInt64?

    /// The ticket to wait for; nil when everything is durable.
    var awaited: UInt64? { marks.last?.ticket }
    /// Whether the `session` message no longer waits for a commit.
    var isSessionMessageDurable: Bool { sessionMessageTicket == nil }
    /// The last sequence number that may be sent; nil when none may.
    var sendable: UInt64? { isSessionMessageDurable ? marks.isEmpty ? .max : durable : nil }

    /// Makes the `session` message wait for the current commits.
    mutating func holdSessionMessage() { sessionMessageTicket = awaited }

    mutating func append(_ ticket: UInt64, sequence: UInt64, accepted: UInt64) {
        if marks.last?.ticket == ticket { marks.removeLast() }
        marks.append((ticket, sequence, accepted))
    }

    /// Removes the marks up to a committed ticket.
    ///
    /// - Returns: the count of durable accepted messages; nil when no mark was removed.
    mutating func committed(_ ticket: UInt64) -> UInt64? {
        var accepted: UInt64?
        while let mark = marks.first, mark.ticket <= ticket {
            durable = mark.sequence
            accepted = mark.accepted
            marks.removeFirst()
        }
        if let sessionMessageTicket, sessionMessageTicket <= ticket { self.sessionMessageTicket = nil }
        return accepted
    }
}
