// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// A session over any number of connections, as a value without a clock, sockets and tasks: each input returns its effects.
///
/// ``deadline`` is the time of the next ``tick(now:)``. Inputs of a connection that isn't the current one are ignored.
struct SessionMachine: Sendable {
    enum Effect: Sendable {
        /// Opens a connection, and resumes if there is a token of a session.
        case connect(Int, resumeToken: String?, lastSequence: Int64)
        case sendText(String)
        case sendBinary([UInt8])
        /// Closes a connection: after what was sent (`isGraceful`), or at once.
        case drop(Int, isGraceful: Bool)
        /// Requests a new token, for ``SessionMachine/renew(token:)``.
        case fetchToken
        case emit(ParleyClient.Event)
    }

    /// The reason why a connection ended or couldn't be opened.
    struct Failure: Sendable {
        /// A key of ``ParleyError/table``.
        var code: String
        var message = ""
        var retryAfter = Duration.zero
        var correlationID: String?
        /// The HTTP status of a rejected upgrade.
        var status: Int?
    }

    struct Settings: Sendable {
        var queuedMessages = 100
        var queuedBytes = 1_000_000
        var connectTimeout = Duration.seconds(15)
        var heartbeat: Duration?
        var canRefresh = true
        var backoff = BackoffPolicy()
        var translations: [String: String] = [:]
        /// The first part of the ids of requests, which no other client has.
        var prefix = String((0..<8).map { _ in Self.alphabet.randomElement() ?? "x" })
        /// Returns a random number from 0 up to, but not including, 1.
        var random: @Sendable () -> Double = { Double.random(in: 0..<1) }

        private static let alphabet = Array("abcdefghijkmnpqrstuvwxyz23456789")
    }

    /// Delay of a timer beyond which the program, and not the connection, is taken for stalled.
    private static let stall = Duration.seconds(1)
    static let maximumPushIDs = 1000
    /// How long an attempt that was given up may still reach the gateway.
    static let staleTime = Duration.seconds(60)
    /// The part of a `goaway` deadline over which reconnects are spread.
    static let goAwayShare = 0.8
    /// The shortest delay that is worth a text.
    static let advisedDelay = Duration.seconds(1)

    let settings: Settings
    var state = ParleyClient.State.idle
    var sessionID: String?
    var limits: [String: Double] = [:]
    var requests: RequestQueue
    var sequence = AcknowledgementSchedule()
    var health = Health()
    var backoff: Backoff
    var effects: [Effect] = []

    // The current connection.
    var connection = 0
    var hasConnection = false
    var presentedToken = false
    var resumedFrom: Int64 = 0
    var openedAt = Instant(nanoseconds: 0)
    var fatalError: ServerMessage.Failure?
    /// The audio that is being received; `id` is nil for pushed audio.
    var receivedAudio: (id: String?, format: ParleyClient.AudioFormat)?

    // The session.
    var resumeToken: String?
    /// The token before, until the gateway has confirmed its successor.
    var previousToken: String?
    var pushIDs: [String] = []
    var wasRefused = false
    var hadOutage = false
    var isFinal = false
    var staleUntil: Instant?
    var advice: String?
    private var idCount = 0

    // Timers.
    var attemptAt: Instant?
    var connectDeadline: Instant?
    var leaveAt: Instant?
    var sendAt: Instant?

    var sent = (messages: 0, bytes: 0)
    var received = (messages: 0, bytes: 0)
    var duplicates = 0
    var sessions = 0
    var resumes = 0

    init(_ settings: Settings) {
        self.settings = settings
        backoff = Backoff(settings.backoff, random: settings.random)
        requests = RequestQueue(maximumMessages: settings.queuedMessages, maximumBytes: settings.queuedBytes)
    }

    // MARK: State for the application

    var isOpen: Bool { state == .open }

    /// The time of the next ``tick(now:)``.
    var deadline: Instant? {
        [attemptAt, connectDeadline, leaveAt, sendAt, isOpen ? sequence.deadline : nil, health.due].compactMap(\.self).min()
    }

    var statistics: ParleyClient.Statistics {
        var statistics = ParleyClient.Statistics()
        (statistics.messagesSent, statistics.bytesSent) = sent
        (statistics.messagesReceived, statistics.bytesReceived) = received
        statistics.messagesResent = requests.resent
        statistics.duplicatesDropped = duplicates
        statistics.reconnects = max(0, sessions - 1)
        statistics.resumes = resumes
        statistics.lostPongs = health.lostPongs
        statistics.roundTrip = health.roundTrip.map { .nanoseconds(Int64($0 * 1_000_000)) }
        statistics.jitter = .nanoseconds(Int64(health.jitter * 1_000_000))
        statistics.queued = requests.queued
        return statistics
    }

    /// Returns an id that no other request of any client has.
    mutating func nextID() -> String {
        idCount += 1
        return "\(settings.prefix)-\(idCount)"
    }

    // MARK: Inputs of the application

    /// Connects, unless that has happened before.
    mutating func start(now: Instant) -> [Effect] {
        if state == .idle { connect(now: now) }
        return takeEffects()
    }

    /// Connects at once, also after the client has given up.
    mutating func reconnect(now: Instant) -> [Effect] {
        guard !isFinal else { return takeEffects() }
        backoff.reset()
        wasRefused = false
        abandon(now: now)
        connect(now: now)
        return takeEffects()
    }

    mutating func setOnline(_ isOnline: Bool, now: Instant) -> [Effect] {
        switch state {
        case .closed: break
        case .offline where isOnline:
            backoff.reset()
            connect(now: now)
        case _ where !isOnline && state != .offline:
            abandon(now: now)
            hadOutage = true
            set(.offline)
            advise(requests.queued > 0 ? .offlineQueued : .offline)
        default: break
        }
        return takeEffects()
    }

    /// Adds a request. Collect the effects with ``flush(now:)``.
    ///
    /// - Returns: the error with which the request is rejected
    mutating func add(_ request: Request) -> ParleyError? {
        if let error = state.closingError { return error }
        let size = request.byteCount
        if let limit = limits["messages.max_text_bytes"], Double(size) > limit {
            return ParleyError("message_too_large", "\(size) bytes of text; the limit is \(Int(limit))")
        }
        guard requests.hasRoom(byteCount: size) else {
            if !isOpen { advise(.queueFull) }
            return ParleyError("queue_full", "\(requests.queued) messages are waiting", isRetryable: true)
        }
        requests.add(request)
        switch state {
        case .offline: advise(.offlineQueued)
        case .waiting: advise(.queued)
        case .idle, .connecting, .open, .closed: break
        }
        return nil
    }

    mutating func append(_ chunk: [UInt8], to id: String, now: Instant) -> [Effect] {
        requests.withStream(id) { $0.append(chunk) }
        return flush(now: now)
    }

    /// Ends a stream: complete, or failed because of its source.
    mutating func endStream(_ id: String, error: ParleyError? = nil, now: Instant) -> [Effect] {
        if let error {
            requests.cancel(id, reason: error.code, with: error)
        } else {
            requests.withStream(id) { $0.complete() }
        }
        return flush(now: now)
    }

    mutating func cancel(
        _ id: String, reason: String? = nil, playedMilliseconds: Int64? = nil, error: ParleyError = ParleyError("cancelled"), now: Instant
    ) -> [Effect] {
        requests.cancel(id, reason: reason, playedMilliseconds: playedMilliseconds, with: error)
        return flush(now: now)
    }

    /// Sends a message that is of no use later: while there is no connection, it is dropped.
    mutating func sendNow(_ request: ClientRequest) -> [Effect] {
        if isOpen { send(request) }
        return takeEffects()
    }

    /// Renews the token of the open connection.
    mutating func renew(token: String) -> [Effect] { sendNow(.authenticate(token: token)) }

    /// Ends the session.
    mutating func close(now: Instant) -> [Effect] {
        guard !isFinal else { return takeEffects() }
        if isOpen { send(.bye) }
        isFinal = true
        stop(ParleyError("closed"), isGraceful: true, now: now)
        (resumeToken, previousToken) = (nil, nil)
        return takeEffects()
    }

    /// Sends what is due.
    mutating func flush(now: Instant) -> [Effect] {
        if isOpen {
            let (output, next) = requests.take(connection: connection, now: now)
            sendAt = next
            for message in output {
                switch message {
                case .message(let request): send(request)
                case .chunk(let bytes): send(binary: bytes)
                case .opening: break
                }
            }
        }
        return takeEffects()
    }

    /// Handles all timers that are due.
    mutating func tick(now: Instant) -> [Effect] {
        if let deadline, now - deadline > Instant.Duration(Self.stall) { health.extend(now: now) }
        if let connectDeadline, connectDeadline <= now {
            abandon(now: now)
            failed(Failure(code: "connect_timeout", message: "no session in time"), now: now)
        }
        if let attemptAt, attemptAt <= now { connect(now: now) }
        guard isOpen else { return takeEffects() }
        switch health.check(now: now) {
        case .nothing: break
        case .ping: send(.ping(id: health.ping(now: now, isBusy: !requests.isEmpty), milliseconds: 0))
        case .dead:
            abandon(now: now)
            failed(Failure(code: "pong_timeout", message: "two pongs are missing"), now: now)
            return takeEffects()
        }
        if let leaveAt, leaveAt <= now {
            abandon(isGraceful: true, now: now)
            failed(Failure(code: "4003", message: "goaway"), now: now)
            return takeEffects()
        }
        if let number = sequence.dueSequence(now: now) { send(.acknowledge(number)) }
        return flush(now: now)
    }
}
