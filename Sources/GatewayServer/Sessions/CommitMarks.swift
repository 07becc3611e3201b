import DequeModule

/// The commits that a session waits for, and what each makes durable.
struct CommitMarks {
    /// Tickets that aren't committed, the oldest first, each with the sequence number and the count of accepted messages that it makes durable.
    private var marks: Deque<(ticket: UInt64, sequence: UInt64, accepted: UInt64)> = []
    /// The last sequence number that is durable while ``marks`` isn't empty.
    private var durable: UInt64 = 0
    /// The ticket that the `session` message waits for; nothing else goes before it.
    private var greeting: UInt64?

    /// The ticket to wait for; nil when everything is durable.
    var awaited: UInt64? { marks.last?.ticket }
    /// Whether the `session` message doesn't wait for a commit any more.
    var isGreeted: Bool { greeting == nil }
    /// The last sequence number that may be sent; nil when none may.
    var sendable: UInt64? { isGreeted ? marks.isEmpty ? .max : durable : nil }

    /// The `session` message waits for what is awaited now.
    mutating func greet() { greeting = awaited }

    mutating func append(_ ticket: UInt64, sequence: UInt64, accepted: UInt64) {
        if marks.last?.ticket == ticket { marks.removeLast() }
        marks.append((ticket, sequence, accepted))
    }

    /// Removes marks up to a ticket.
    ///
    /// - Returns: the count of accepted messages that are durable now; nil when no mark was removed.
    mutating func committed(_ ticket: UInt64) -> UInt64? {
        var accepted: UInt64?
        while let mark = marks.first, mark.ticket <= ticket {
            durable = mark.sequence
            accepted = mark.accepted
            marks.removeFirst()
        }
        if let greeting, greeting <= ticket { self.greeting = nil }
        return accepted
    }
}
