package import GatewayCore

/// The requests that other event loops post to the one that has a session. Its methods may be called by any thread, and return before the
/// loop has acted.
package protocol SessionMailbox: Sendable {
    /// Asks for a session.
    ///
    /// - Parameter reply: called on the loop that has the session
    func transfer(_ request: TransferRequest, reply: @escaping @Sendable (TransferReply) -> Void)
    /// Ends a session that made room for another one.
    func displace(_ id: ULID)
    /// Reports the memory of the loop's sessions to the search that is under way.
    func reportMemoryUsage()
    /// Frees memory as the search has decided.
    func perform(_ steps: [MemoryRelief.Step])
}

/// A request of one event loop for a session of another.
package struct TransferRequest: Sendable {
    let id: ULID
    let token: TokenHash
    let resume: ResumeRequest
    let client: ClientKey
    /// The number of the loop that asks.
    let destination: Int
}

/// The reply to a ``TransferRequest``.
package enum TransferReply: Sendable {
    case session(SessionTransfer)
    case refused(ResumeError)
    /// `sessions.max`
    case full
    /// The session isn't on this loop any more.
    case elsewhere
}
