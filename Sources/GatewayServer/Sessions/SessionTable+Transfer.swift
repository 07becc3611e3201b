package import GatewayCore
import Logging
import NIOCore

/// A resume as a client asks for it.
package struct ResumeRequest: Sendable {
    /// What was presented; nil when it can't be a token of ours.
    package var token: TokenHash?
    /// `last_seq`; nil when it wasn't given.
    package var last: UInt64?
    /// `last_seq` isn't a number.
    package var isMalformed = false

    package init(token: TokenHash?) { self.token = token }
}

/// Sessions begin, are found again, and go from one event loop to another.
extension LoopContext {
    /// What became of a resume.
    enum Resumption {
        /// Here, and without a connection.
        case found(SessionDriver, by: TokenHash)
        case refused(ResumeError)
        /// `sessions.max`
        case full
    }

    /// A new session; nil when there are as many as may be.
    func beginSession(for client: ClientKey) -> SessionDriver? {
        let wall = LoopClock.wallMilliseconds()
        let id = turn.ids.ulid(at: wall)
        let room = shared.sessions.begin(id, of: client, loop: number)
        guard room != .full else { return nil }
        displace(room)
        let driver = SessionDriver(id: id, loop: self, wall: wall)
        add(driver)
        return driver
    }

    /// Brings the session that a client wants to resume to this event loop, out of the hands of the connection that it may still have.
    ///
    /// - Parameters:
    ///   - client: of the connection that wants it
    ///   - completion: called at once when the session is on this loop, or doesn't exist.
    func resume(
        _ request: ResumeRequest, for client: ClientKey, attemptsLeft: Int = 100, completion: @escaping (Resumption) -> Void
    ) {
        guard let token = request.token else { return completion(.refused(.unknown)) }
        switch shared.sessions.find(token) {
        case .unknown: completion(.refused(.unknown))
        case .ended: completion(.refused(.expired))
        case .session(let id, number):
            if let resumption = release(id, by: token, request, for: client, to: number) { return completion(resumption) }
            whenArrived(id) { [self] in resume(request, for: client, attemptsLeft: attemptsLeft, completion: completion) }
        case .session(let id, let home):
            // A token that leads to a session is never called unknown, also where the session is wanted in many places at once.
            guard attemptsLeft > 0, let other = shared.loop(home) else { return completion(.full) }
            fetch(id, by: token, request, for: client, from: other) { [self] resumption in
                if let resumption { return completion(resumption) }
                // It was on its way to yet another loop.
                resume(request, for: client, attemptsLeft: attemptsLeft - 1, completion: completion)
            }
        }
    }

    /// Waits for a session that has left another loop for this one.
    private func whenArrived(_ id: ULID, _ body: @escaping () -> Void) { arrivals[id, default: []].append(body) }

    /// Takes a session of this loop out of the hands of its connection, for one on loop `destination`.
    ///
    /// - Returns: nil when it isn't here any more.
    private func release(
        _ id: ULID, by token: TokenHash, _ request: ResumeRequest, for client: ClientKey, to destination: Int
    ) -> Resumption? {
        guard let driver = sessions[id] else { return nil }
        guard driver.session.credentials.accept(token) else { return .refused(.unknown) }
        if driver.session.isExpired(at: clock.now) {
            if !driver.isAttached { driver.end(.expired) }
            return .refused(.expired)
        }
        guard !request.isMalformed, driver.session.canResume(after: request.last) else { return .refused(.badLastSequence) }
        switch shared.sessions.attach(id, of: client, loop: destination) {
        case .attached: break
        case .full: return .full
        case .ended: return .refused(.expired)
        }
        driver.leaveConnection()
        // What the store has to hear of on this loop comes before what it hears from the next.
        if destination != self.number { submitBatch() }
        return .found(driver, by: token)
    }

    /// Gets a session from another loop, and calls `completion` on this one.
    private func fetch(
        _ id: ULID, by token: TokenHash, _ request: ResumeRequest, for client: ClientKey, from other: NIOLoopBound<LoopContext>,
        completion: @escaping (Resumption?) -> Void
    ) {
        let destination = NIOLoopBound((self, completion), eventLoop: eventLoop)
        let number = number
        other.eventLoop.execute {
            other.value.whenHere(id) { home in
                let resumption = home.release(id, by: token, request, for: client, to: number)
                if case .found(let driver, _) = resumption {
                    driver.leaveLoop()
                    home.remove(driver)
                }
                let parcel = Parcel(resumption: resumption, clockOffset: home.clock.offset)
                destination.eventLoop.execute {
                    let (loop, completion) = destination.value
                    completion(loop.unpack(parcel))
                    loop.arrived(id)
                }
            }
        }
    }

    /// Calls `body` when no session with this id is on its way to this loop: immediately, as a rule.
    private func whenHere(_ id: ULID, _ body: @escaping (LoopContext) -> Void) {
        guard sessions[id] == nil, shared.sessions.loop(of: id) == number else { return body(self) }
        whenArrived(id) { [self] in whenHere(id, body) }
    }

    /// Calls the requests that waited for the session: each takes it over from the one before.
    private func arrived(_ id: ULID) {
        for body in arrivals.removeValue(forKey: id) ?? [] { body() }
    }

    private func unpack(_ parcel: Parcel) -> Resumption? {
        guard case .found(let driver, let token) = parcel.resumption else { return parcel.resumption }
        let moved = SessionDriver(moving: driver, to: self, clockAheadBy: clock.offset - parcel.clockOffset)
        add(moved)
        return .found(moved, by: token)
    }

    /// Takes up sessions that the store has kept.
    ///
    /// - Returns: how many could be read.
    package func restore(_ stored: [StoredSession]) -> Int {
        var restored = 0
        for entry in stored {
            let begun = beginTurn()
            do throws(RecordError) {
                try SessionDriver(restoring: entry, loop: self).goOn()
                restored += 1
            } catch {
                logger.error("a stored session can't be read; it is given up", metadata: ["session_id": "\(entry.id)"])
                turn.batch?.end(entry.id, tokens: [])
                scheduleCommit()
            }
            if begun { endTurn() }
        }
        return restored
    }

    /// Ends the session that has made room for another one, on the event loop that has it.
    func displace(_ room: SessionRegistry.Room) {
        guard case .displacing(let id, let home) = room else { return }
        if home == number { return sessions[id]?.end(.displaced) ?? () }
        guard let other = shared.loop(home) else { return }
        other.eventLoop.execute { other.value.sessions[id]?.end(.displaced) }
    }

    /// Logs what happened to a session, unless lines of this topic flood the log.
    func log(
        _ message: Logger.Message, as topic: LogTopic, of session: ULID, connection: Connection?, _ further: Logger.Metadata = [:]
    ) {
        guard logger.logLevel <= .info, case .write(let suppressed) = throttle.admit(topic, now: clock.now) else { return }
        var metadata = further
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        metadata["session_id"] = "\(session)"
        if let connection { metadata["connection_id"] = "\(connection.id)" }
        logger.info(message, metadata: metadata)
    }
}

/// A session on its way between two event loops.
///
/// Unchecked: the loop that sends it has let go of everything in it, and the one that gets it hasn't begun.
private struct Parcel: @unchecked Sendable {
    let resumption: LoopContext.Resumption?
    /// Of the clock that its times were taken from.
    let clockOffset: Int64
}
