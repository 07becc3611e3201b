/// The time until a limit admits a message.
struct LimitWait: Equatable {
    var duration: Instant.Duration
    /// The limit is the one that all sessions of the client share; other sessions may have exhausted it.
    var isPerClient = false

    /// - Parameter nanoseconds: the duration as returned by a limiter
    init(nanoseconds: Int64, isPerClient: Bool = false) {
        duration = .nanoseconds(nanoseconds)
        self.isPerClient = isPerClient
    }
}
