/// The rate at which reasoning is reported to the client: at once, and then at most once a second.
struct ReasoningSignal: Sendable {
    static let interval = Instant.Duration.seconds(1)

    private var bytes = 0
    private var reportedAt: Instant?

    /// So many bytes of reasoning more have come.
    ///
    /// - Returns: all bytes of reasoning so far if a report is due, else nil.
    mutating func add(_ count: Int, now: Instant) -> Int? {
        guard count > 0 else { return nil }
        bytes = bytes.addingReportingOverflow(count).overflow ? .max : bytes + count
        if let reportedAt, now - reportedAt < Self.interval { return nil }
        reportedAt = now
        return bytes
    }
}
