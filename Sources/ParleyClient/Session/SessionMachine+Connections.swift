// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Connections: attempts, failures and what follows them.
extension SessionMachine {
    /// Handles the end of a connection, or of an attempt to connect.
    mutating func disconnected(_ number: Int, _ failure: Failure, now: Instant) -> [Effect] {
        if number == connection, hasConnection {
            abandon(isClosed: true, now: now)
            failed(failure, now: now)
        }
        return takeEffects()
    }

    mutating func connect(now: Instant) {
        attemptAt = nil
        connection += 1
        hasConnection = true
        fatalError = nil
        presentedToken = resumeToken != nil
        connectDeadline = now.advanced(by: settings.connectTimeout)
        resumedFrom = sequence.received
        set(.connecting)
        effects.append(.connect(connection, resumeToken: resumeToken, lastSequence: resumedFrom))
    }

    /// Leaves the current connection and stops all timers.
    ///
    /// - Parameter isClosed: whether the connection has ended already
    mutating func abandon(isGraceful: Bool = false, isClosed: Bool = false, now: Instant) {
        if hasConnection {
            if !isClosed { effects.append(.drop(connection, isGraceful: isGraceful)) }
            if isOpen {
                backoff.wasOpen(for: Duration(now - openedAt))
            } else {
                staleUntil = now.advanced(by: Self.staleTime)
            }
        }
        hasConnection = false
        health.end()
        (connectDeadline, attemptAt, leaveAt, sendAt) = (nil, nil, nil, nil)
    }

    /// Decides what follows the end of a connection.
    mutating func failed(_ failure: Failure, now: Instant) {
        let asked = fatalError?.retryAfterMilliseconds.map { Duration.milliseconds(min(max(0, $0), 86_400_000)) } ?? .zero
        var recovery = recovery(from: failure)
        var error = ParleyError(
            failure.code, fatalError?.message ?? failure.message, isRetryable: recovery != .stop,
            correlationID: failure.correlationID ?? fatalError?.correlationID)
        if failure.code == "4503", let staleUntil, now < staleUntil {
            // The other connection is probably the client's own: an attempt that was given up arrived late.
            self.staleUntil = nil
            recovery = .reconnect
        }
        if recovery == .refresh {
            guard !wasRefused, settings.canRefresh else {
                error.isRetryable = false
                return stop(error, now: now)
            }
            wasRefused = true
        }
        // The session has ended.
        if failure.code == "4506" || failure.code == "4507" { (resumeToken, previousToken) = (nil, nil) }
        if recovery == .stop { return stop(error, now: now) }
        if recovery == .newSession {
            beginNewSession(reason: "expired")
            (resumeToken, previousToken) = (nil, nil)
        }
        let isAtOnce = recovery == .reconnect || recovery == .refresh || recovery == .newSession
        guard let delay = backoff.next(isAtOnce: isAtOnce, minimum: max(failure.retryAfter, asked)) else {
            let message = "gave up after \(backoff.count) attempts; the last: \(error)"
            return stop(ParleyError("gave_up", message, isRetryable: true, correlationID: error.correlationID), now: now)
        }
        attemptAt = now.advanced(by: delay)
        hadOutage = true
        set(.waiting(delay, error))
        advise(about: error, delay: delay)
    }

    private mutating func advise(about error: ParleyError, delay: Duration) {
        if error.advice != .network, error.advice != .unreachable {
            advise(error.advice)
        } else if delay >= Self.advisedDelay {
            advise(.reconnecting, seconds: Int(clamping: (delay.clampedMilliseconds + 999) / 1000))
        } else {
            advise(requests.queued > 0 ? .queued : error.advice)
        }
    }

    private func recovery(from failure: Failure) -> ParleyError.Recovery {
        let recovery = ParleyError.entry(for: failure.code).recovery
        // The code tells what to do with a message, the status what to do with a connection.
        if let status = failure.status, recovery == .none || recovery == .resend {
            return ParleyError.entry(for: String(status)).recovery
        }
        return recovery == .none || recovery == .resend ? .backoff : recovery
    }

    /// Ends all requests. The client doesn't connect again by itself.
    mutating func stop(_ error: ParleyError, isGraceful: Bool = false, now: Instant) {
        abandon(isGraceful: isGraceful, now: now)
        if case .closed = state { return set(.closed(error)) }
        requests.failAll(error)
        collectChanges()
        set(.closed(error))
        advise(isFinal ? nil : error.advice)
    }

    mutating func set(_ state: ParleyClient.State) {
        self.state = state
        emit(.state(state))
    }

    // MARK: Sessions

    /// Handles the first message on a connection.
    mutating func open(_ message: ServerMessage, now: Instant) {
        guard let token = message.resumeToken, let id = message.sessionID else {
            return violated("the session message is incomplete", now: now)
        }
        let isResumed = message.isResumed == true
        let isLost = message.isLost == true
        if isResumed, !presentedToken || (message.lastSequence ?? 0) < sequence.received {
            // Further messages would be taken for repetitions. A new session is the only way on.
            (resumeToken, previousToken) = (nil, nil)
            beginNewSession(reason: "bad_last_seq")
            return violated("the session was resumed before the last received message", now: now)
        }
        if isResumed {
            resumes += 1
            sequence.resumed()
            if isLost { lose(reason: nil, isNewSession: false) }
        } else if presentedToken, let previous = previousToken {
            // An attempt that was given up has arrived late, and had the token replaced. The one before is still valid.
            (resumeToken, previousToken) = (previous, nil)
            send(.bye)
            abandon(isGraceful: true, now: now)
            return connect(now: now)
        } else if presentedToken {
            beginNewSession(reason: message.resumeError ?? "unknown")
        } else {
            sequence = AcknowledgementSchedule()
            receivedAudio = nil
        }
        previousToken = isResumed ? resumeToken : nil
        (resumeToken, sessionID) = (token, id)
        limits = message.limits ?? [:]
        sessions += 1
        connectDeadline = nil
        wasRefused = false
        openedAt = now
        let heartbeat = settings.heartbeat ?? .milliseconds(min(max(0, message.heartbeatMilliseconds ?? 30_000), 3_600_000))
        health.begin(interval: heartbeat, now: now)
        requests.connected(openAudio: message.openAudio, factor: limits["limits.audio_realtime_factor"], now: now)
        set(.open)
        sequence.opened(now: now)
        if let number = sequence.dueSequence(now: now) { send(.acknowledge(number)) }
        emit(.session(id: id, isResumed: isResumed, isLost: isLost))
        if hadOutage {
            hadOutage = false
            advise(isResumed && !isLost ? .resumed : .restarted)
        }
    }

    /// Discards what belongs to the previous session.
    mutating func beginNewSession(reason: String) {
        lose(reason: reason, isNewSession: true)
        sequence = AcknowledgementSchedule()
        receivedAudio = nil
    }

    private mutating func lose(reason: String?, isNewSession: Bool) {
        let ids = requests.lose(isNewSession: isNewSession)
        collectChanges()
        emit(.lost(ids: ids, reason: reason))
    }

    /// Ends a connection on which the gateway violated the protocol.
    mutating func violated(_ message: String, now: Instant) {
        abandon(now: now)
        failed(Failure(code: "protocol_error", message: message), now: now)
    }
}
