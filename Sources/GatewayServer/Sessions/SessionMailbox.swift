// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The requests of other event loops to the loop of a session. The methods may be called on any thread and return before the loop handles
/// the request.
package protocol SessionMailbox: Sendable {
    /// Requests the transfer of a session.
    ///
    /// - Parameter reply: called on the loop of the session
    func transfer(_ request: TransferRequest, reply: @escaping @Sendable (TransferReply) -> Void)
    /// Ends a displaced session.
    func displace(_ id: ULID)
    /// Ends a session on this node for another node of the cluster, in two steps: ``finishDeparture(of:_:)`` follows.
    ///
    /// - Parameter reply: called on the loop of the session
    func depart(_ request: HandOverRequest, reply: @escaping @Sendable (Departure) -> Void)
    /// Completes or takes back a departure.
    func finishDeparture(of id: ULID, _ outcome: DepartureOutcome)
    /// Restores a session that arrives without a client.
    ///
    /// - Parameter completion: called on the loop of the session; false if it couldn't be read
    func arrive(_ stored: StoredSession, handover: [UInt8]?, stream: NodeStream?, completion: @escaping @Sendable (Bool) -> Void)
    /// Drops a session that this node doesn't own any more.
    func lose(_ id: ULID, _ loss: SessionLoss)
    /// Reports the memory usage of the loop's sessions to the running memory reclaim.
    func reportMemoryUsage()
    /// Performs steps of the memory reclaim.
    func perform(_ steps: [MemoryReclaim.Step])
}

/// A request of one event loop for the transfer of a session from another.
package struct TransferRequest: Sendable {
    let id: ULID
    let token: TokenHash
    let resume: ResumeRequest
    let client: ClientKey
    /// The number of the requesting loop.
    let destination: Int
}

/// The reply to a ``TransferRequest``.
package enum TransferReply: Sendable {
    case session(SessionTransfer)
    case rejected(ResumeError)
    /// `sessions.max` is reached.
    case full
    /// The session isn't on this loop any more.
    case elsewhere
}
