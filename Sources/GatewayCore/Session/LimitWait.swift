/// How long a message has to wait for a limit.
struct LimitWait: Equatable {
    var nanoseconds: Int64
    /// The limit is that of the session's client, which other sessions may have used up.
    var isClients = false
}
