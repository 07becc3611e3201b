package import GatewayCore
import NIOCore

/// Resumed sessions, and their transfer from one event loop to another.
extension LocalSessionTable {
    /// The outcome of a ``ResumeRequest``.
    package enum Resumption {
        /// The session is on this loop, and has no connection.
        case found(SessionDriver, by: TokenHash)
        case refused(ResumeError)
        /// `sessions.max`
        case full
    }

    /// Brings the session that a client wants to resume to this event loop, and detaches it from the connection that it may still have.
    ///
    /// - Parameters:
    ///   - client: of the connection that wants it
    ///   - completion: called at once when the session is on this loop, or doesn't exist.
    package func resume(
        _ request: ResumeRequest, for client: ClientKey, attemptsLeft: Int = 100, completion: @escaping (Resumption) -> Void
    ) {
        guard let token = request.token else { return completion(.refused(.unknown)) }
        switch loop.shared.sessions.find(token) {
        case .unknown: completion(.refused(.unknown))
        case .ended: completion(.refused(.expired))
        case .session(let id, number):
            let local = TransferRequest(id: id, token: token, resume: request, client: client, destination: number)
            if let resumption = release(local) { return completion(resumption) }
            whenArrived(id) { [self] in resume(request, for: client, attemptsLeft: attemptsLeft, completion: completion) }
        case .session(let id, let home):
            // A token that leads to a session is never called unknown, also where the session is wanted in many places at once.
            guard attemptsLeft > 0, let other = loop.shared.mailbox(home) else { return completion(.full) }
            let remote = TransferRequest(id: id, token: token, resume: request, client: client, destination: number)
            fetch(remote, from: other) { [self] resumption in
                if let resumption { return completion(resumption) }
                // It was on its way to yet another loop.
                resume(request, for: client, attemptsLeft: attemptsLeft - 1, completion: completion)
            }
        }
    }

    /// Waits for a session that has left another loop for this one.
    private func whenArrived(_ id: ULID, _ body: @escaping () -> Void) { arrivals[id, default: []].append(body) }

    /// Detaches a session of this loop from its connection, for a connection on the loop that asks.
    ///
    /// - Returns: nil when it isn't here any more.
    private func release(_ request: TransferRequest) -> Resumption? {
        guard let driver = self[request.id] else { return nil }
        guard driver.session.credentials.accept(request.token) else { return .refused(.unknown) }
        if driver.session.isExpired(at: loop.clock.now) {
            if !driver.isAttached { driver.end(.expired) }
            return .refused(.expired)
        }
        guard !request.resume.isMalformed, driver.session.canResume(after: request.resume.last) else { return .refused(.badLastSequence) }
        switch loop.shared.sessions.attach(request.id, of: request.client, loop: request.destination) {
        case .attached: break
        case .full: return .full
        case .ended: return .refused(.expired)
        }
        driver.leaveConnection()
        // The store gets what this loop has for it before what the next loop has.
        if request.destination != number { loop.submitBatch() }
        return .found(driver, by: request.token)
    }

    /// Gets a session from another loop, and calls `completion` on this one.
    private func fetch(_ request: TransferRequest, from other: any SessionMailbox, completion: @escaping (Resumption?) -> Void) {
        let destination = NIOLoopBound((self, completion), eventLoop: loop.eventLoop)
        other.transfer(request) { reply in
            destination.eventLoop.execute {
                let (table, completion) = destination.value
                completion(table.accept(reply, by: request.token))
                table.arrived(request.id)
            }
        }
    }

    /// Gives a session to another loop.
    func transfer(_ request: TransferRequest, reply: @escaping @Sendable (TransferReply) -> Void) {
        whenHere(request.id) { home in
            switch home.release(request) {
            case nil: reply(.elsewhere)
            case .refused(let error): reply(.refused(error))
            case .full: reply(.full)
            case .found(let driver, _):
                driver.leaveLoop()
                home.remove(driver)
                reply(.session(driver.takeTransfer()))
            }
        }
    }

    /// Calls `body` when no session with this id is on its way to this loop: immediately, as a rule.
    private func whenHere(_ id: ULID, _ body: @escaping (LocalSessionTable) -> Void) {
        guard self[id] == nil, loop.shared.sessions.loop(of: id) == number else { return body(self) }
        whenArrived(id) { [self] in whenHere(id, body) }
    }

    /// Calls the requests that waited for the session: each takes it over from the one before.
    private func arrived(_ id: ULID) {
        for body in arrivals.removeValue(forKey: id) ?? [] { body() }
    }

    private func accept(_ reply: TransferReply, by token: TokenHash) -> Resumption? {
        switch reply {
        case .elsewhere: return nil
        case .refused(let error): return .refused(error)
        case .full: return .full
        case .session(let transfer):
            let driver = SessionDriver(receiving: transfer, in: self)
            add(driver)
            return .found(driver, by: token)
        }
    }
}
