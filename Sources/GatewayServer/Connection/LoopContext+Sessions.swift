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
    func beginSession() -> SessionDriver? {
        let wall = LoopClock.wallMilliseconds()
        let id = turn.ids.ulid(at: wall)
        if !shared.sessions.begin(id, loop: number) {
            // Those who only came and went don't keep others out.
            endOldestDetached { $0.isUnused }
            guard shared.sessions.begin(id, loop: number) else { return nil }
        }
        let driver = SessionDriver(id: id, loop: self, wall: wall)
        add(driver)
        return driver
    }

    /// Brings the session that a client wants to resume to this event loop, out of the hands of the connection that it may still have.
    ///
    /// - Parameter completion: called at once when the session is on this loop, or doesn't exist.
    func resume(_ request: ResumeRequest, attemptsLeft: Int = 100, completion: @escaping (Resumption) -> Void) {
        guard let token = request.token else { return completion(.refused(.unknown)) }
        switch shared.sessions.find(token) {
        case .unknown: completion(.refused(.unknown))
        case .ended: completion(.refused(.expired))
        case .session(let id, number): completion(release(id, by: token, request, to: number) ?? .refused(.unknown))
        case .session(let id, let home):
            guard attemptsLeft > 0, let other = shared.loop(home) else { return completion(.refused(.unknown)) }
            fetch(id, by: token, request, from: other) { [self] resumption in
                if let resumption { return completion(resumption) }
                // It was on its way to yet another loop.
                resume(request, attemptsLeft: attemptsLeft - 1, completion: completion)
            }
        }
    }

    /// Takes a session of this loop out of the hands of its connection, for one on loop `destination`.
    ///
    /// - Returns: nil when it isn't here any more.
    private func release(_ id: ULID, by token: TokenHash, _ request: ResumeRequest, to destination: Int) -> Resumption? {
        guard let driver = sessions[id] else { return nil }
        guard driver.session.credentials.accept(token) else { return .refused(.unknown) }
        if driver.session.isExpired(at: clock.now) {
            if !driver.isAttached { driver.end(.expired) }
            return .refused(.expired)
        }
        guard !request.isMalformed, driver.session.canResume(after: request.last) else { return .refused(.badLastSequence) }
        guard shared.sessions.attach(id, loop: destination) else { return .full }
        driver.leaveConnection()
        // What the store has to hear of on this loop comes before what it hears from the next.
        if destination != self.number { submitBatch() }
        return .found(driver, by: token)
    }

    /// Gets a session from another loop, and calls `completion` on this one.
    private func fetch(
        _ id: ULID, by token: TokenHash, _ request: ResumeRequest, from other: NIOLoopBound<LoopContext>,
        completion: @escaping (Resumption?) -> Void
    ) {
        let destination = NIOLoopBound((self, completion), eventLoop: eventLoop)
        let number = number
        other.eventLoop.execute {
            let home = other.value
            let resumption = home.release(id, by: token, request, to: number)
            if case .found(let driver, _) = resumption {
                driver.leaveLoop()
                home.remove(driver)
            }
            let parcel = Parcel(resumption: resumption, clockOffset: home.clock.offset)
            destination.eventLoop.execute {
                let (loop, completion) = destination.value
                completion(loop.unpack(parcel))
            }
        }
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

    /// A session without a connection has to go, so that there are no more of them than may be: the one that had none for the longest time.
    func endOldestDetached(where isMeant: (SessionDriver) -> Bool = { _ in true }) {
        var oldest: (driver: SessionDriver, at: Instant)?
        for driver in sessions.values {
            guard let at = driver.session.detachedAt, !driver.isAttached, at < oldest?.at ?? .distantFuture, isMeant(driver) else {
                continue
            }
            oldest = (driver, at)
        }
        oldest?.driver.end(.displaced)
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
