// SPDX-License-Identifier: Apache-2.0

/// A throttle for the reports of reasoning to the client: the first report is immediate, later ones follow at most once per second.
struct ReasoningThrottle: Sendable {
    static let interval = Instant.Duration.seconds(1)

    private var bytes = 0
    private var reportedAt: Instant?

    /// Adds `count` bytes of reasoning.
    ///
    /// - Returns: the total number of bytes if a report is due; nil otherwise
    mutating func add(_ count: Int, now: Instant) -> Int? {
        guard count > 0 else { return nil }
        bytes = bytes.addingReportingOverflow(count).overflow ? .max : bytes + count
        if let reportedAt, now - reportedAt < Self.interval { return nil }
        reportedAt = now
        return bytes
    }
}
