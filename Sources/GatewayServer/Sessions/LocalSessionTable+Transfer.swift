// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import NIOCore

/// Resumption of sessions, and their transfer between event loops.
extension LocalSessionTable {
    /// The outcome of a ``ResumeRequest``.
    package enum Resumption {
        /// The session is on this loop and detached.
        case found(SessionDriver, by: TokenHash)
        case rejected(ResumeError)
        /// `sessions.max` is reached.
        case full
        /// The session is on another node and can't be brought here at the moment.
        case unavailable
    }

    /// Transfers the session that a client resumes to this event loop, and detaches it from its connection, if any.
    ///
    /// - Parameters:
    ///   - client: the client of the resuming connection
    ///   - completion: called once; synchronously unless the session must be transferred first.
    package func resume(
        _ request: ResumeRequest, for client: ClientKey, attemptsLeft: Int = 100, completion: @escaping (Resumption) -> Void
    ) {
        guard let token = request.token else { return completion(.rejected(.unknown)) }
        switch loop.shared.sessions.find(token) {
        case .unknown:
            guard let cluster = loop.shared.cluster else { return completion(.rejected(.unknown)) }
            fetch(request, for: client, from: cluster, attemptsLeft: attemptsLeft, completion: completion)
        case .ended: completion(.rejected(.expired))
        case .session(let id, number):
            let local = TransferRequest(id: id, token: token, resume: request, client: client, destination: number)
            if let resumption = release(local) { return completion(resumption) }
            afterTransfer(id) { [self] in resume(request, for: client, attemptsLeft: attemptsLeft, completion: completion) }
        case .session(let id, let home):
            // A session that many connections resume at once may be missed repeatedly. Its token is still valid, so this isn't reported as
            // unknown.
            guard attemptsLeft > 0, let other = loop.shared.mailbox(home) else { return completion(.full) }
            let remote = TransferRequest(id: id, token: token, resume: request, client: client, destination: number)
            fetch(remote, from: other) { [self] resumption in
                if let resumption { return completion(resumption) }
                // The session was being transferred to a third loop.
                resume(request, for: client, attemptsLeft: attemptsLeft - 1, completion: completion)
            }
        }
    }

    /// Calls `body` when the transfer of a session to this loop is complete.
    private func afterTransfer(_ id: ULID, _ body: @escaping () -> Void) { transferWaiters[id, default: []].append(body) }

    /// Detaches a session of this loop from its connection, for a connection on the requesting loop.
    ///
    /// - Returns: nil when the session isn't on this loop any more.
    private func release(_ request: TransferRequest) -> Resumption? {
        guard let driver = self[request.id] else { return nil }
        if let error = rejection(of: request.resume, to: driver) { return .rejected(error) }
        switch loop.shared.sessions.attach(request.id, of: request.client, loop: request.destination) {
        case .attached: break
        case .full: return .full
        case .ended: return .rejected(.expired)
        }
        driver.detachForTakeover()
        // The store must get this loop's changes of the session before those of the next loop.
        if request.destination != number { loop.submitBatch() }
        return .found(driver, by: request.token)
    }

    /// Returns why a client can't resume a session; nil if it can. An expired session that is detached ends.
    func rejection(of request: ResumeRequest, to driver: SessionDriver) -> ResumeError? {
        guard let token = request.token, driver.session.credentials.accept(token), driver.session.user == request.user else {
            return .unknown
        }
        if driver.session.isExpired(at: loop.clock.now) {
            if !driver.isAttached { driver.end(.expired) }
            return .expired
        }
        return !request.isMalformed && driver.session.canResume(after: request.last) ? nil : .badLastSequence
    }

    /// Requests a session from another loop and calls `completion` on this one.
    private func fetch(_ request: TransferRequest, from other: any SessionMailbox, completion: @escaping (Resumption?) -> Void) {
        let destination = NIOLoopBound((self, completion), eventLoop: loop.eventLoop)
        other.transfer(request) { reply in
            destination.eventLoop.execute {
                let (table, completion) = destination.value
                completion(table.accept(reply, by: request.token))
                table.transferEnded(request.id)
            }
        }
    }

    /// Transfers a session to another loop.
    func transfer(_ request: TransferRequest, reply: @escaping @Sendable (TransferReply) -> Void) {
        afterPendingTransfer(request.id) { home in
            switch home.release(request) {
            case nil: reply(.elsewhere)
            case .rejected(let error): reply(.rejected(error))
            case .full, .unavailable: reply(.full)
            case .found(let driver, _):
                driver.finishOnLoop()
                home.remove(driver)
                reply(.session(driver.makeTransfer()))
            }
        }
    }

    /// Calls `body` when no transfer of this session to this loop is pending: usually immediately.
    func afterPendingTransfer(_ id: ULID, _ body: @escaping (LocalSessionTable) -> Void) {
        guard self[id] == nil, loop.shared.sessions.loop(of: id) == number else { return body(self) }
        afterTransfer(id) { [self] in afterPendingTransfer(id, body) }
    }

    /// Handles the requests that waited for the transfer of the session: each one takes the session over from the previous one.
    func transferEnded(_ id: ULID) {
        for body in transferWaiters.removeValue(forKey: id) ?? [] { body() }
    }

    private func accept(_ reply: TransferReply, by token: TokenHash) -> Resumption? {
        switch reply {
        case .elsewhere: return nil
        case .rejected(let error): return .rejected(error)
        case .full: return .full
        case .session(let transfer):
            let driver = SessionDriver(receiving: transfer, in: self)
            add(driver)
            return .found(driver, by: token)
        }
    }
}
