/// How long a message has to wait for a limit.
struct LimitWait: Equatable {
    var duration: Instant.Duration
    /// The limit is that of the session's client, which other sessions may have used up.
    var isClients = false

    /// - Parameter nanoseconds: how long, as limiters tell it
    init(nanoseconds: Int64, isClients: Bool = false) {
        duration = .nanoseconds(nanoseconds)
        self.isClients = isClients
    }
}
