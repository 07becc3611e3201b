// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOHTTP1
import Synchronization

/// Runs the state machine of a client: its effects on sockets, timers, replies and readers of events.
///
/// Each input is handled completely under the lock, including its effects, which don't block, so that effects have the order of their inputs.
final class ClientCore: Sendable {
    struct State {
        var machine: SessionMachine
        var socket: ClientWebSocket?
        /// The attempt to connect.
        var opening: Task<Void, Never>?
        var replies: [String: ReplyStorage] = [:]
        /// The tasks that read the sources of audio, by request.
        var sources: [String: Task<Void, Never>] = [:]
        var timer: Task<Void, Never>?
        /// The time for which the timer is set.
        var timerDue: Instant?
        var isFetchingToken = false
        /// Replies that became too large.
        var oversized: [String] = []
        /// Tasks that are cancelled after the lock is released, since a cancellation calls code of the application.
        var cancelled: [Task<Void, Never>] = []
    }

    let url: WebSocketURL
    let configuration: ParleyClient.Configuration
    let events: EventHub
    /// Signals every change of the state.
    let signal = ChangeSignal()
    private let state: Mutex<State>
    private let begun = ContinuousClock.now

    init(_ url: WebSocketURL, _ configuration: ParleyClient.Configuration) {
        self.url = url
        self.configuration = configuration
        events = EventHub(capacity: configuration.maximumEvents)
        var settings = SessionMachine.Settings()
        settings.queuedMessages = configuration.maximumQueuedMessages
        settings.queuedBytes = configuration.maximumQueuedBytes
        settings.connectTimeout = configuration.connectTimeout
        settings.heartbeat = configuration.heartbeat
        settings.canRefresh = configuration.token != nil && configuration.canRefresh
        settings.backoff = configuration.backoff
        settings.translations = configuration.translations
        state = Mutex(State(machine: SessionMachine(settings)))
    }

    private var now: Instant { Instant(nanoseconds: (ContinuousClock.now - begun).clampedNanoseconds) }

    // MARK: State

    var current: ParleyClient.State { state.withLock { $0.machine.state } }
    var sessionID: String? { state.withLock { $0.machine.sessionID } }
    var statistics: ParleyClient.Statistics {
        var statistics = state.withLock { $0.machine.statistics }
        statistics.eventsDropped = events.dropped
        return statistics
    }

    // MARK: Inputs

    /// Passes an input to the state machine, and performs its effects.
    func perform(_ input: (inout SessionMachine, Instant) -> [SessionMachine.Effect]) {
        update { state in
            let now = now
            apply(input(&state.machine, now), to: &state)
            while let id = state.oversized.popLast() {
                let error = ParleyError("reply_too_large", "the reply exceeds \(configuration.maximumReplyBytes) bytes")
                apply(state.machine.cancel(id, reason: error.code, error: error, now: now), to: &state)
            }
            return true
        }
    }

    /// - Parameter body: changes the state, and returns whether waiting tasks are to look at it
    private func update(_ body: (inout State) -> Bool) {
        let (isChanged, cancelled) = state.withLock { state in
            let isChanged = body(&state)
            setTimer(&state)
            defer { state.cancelled = [] }
            return (isChanged, state.cancelled)
        }
        for task in cancelled { task.cancel() }
        if isChanged { signal.notify() }
    }

    /// Adds a request.
    ///
    /// - Parameter make: makes the request with this id
    func add(_ make: (String) -> Request) -> Result<ParleyClient.Reply, ParleyError> {
        var result: Result<ParleyClient.Reply, ParleyError> = .failure(ParleyError("closed"))
        update { state in
            let now = now
            apply(state.machine.start(now: now), to: &state)
            let request = make(state.machine.nextID())
            if let error = state.machine.add(request) {
                result = .failure(error)
                apply(state.machine.takeEffects(), to: &state)
                // Otherwise callers that wait for room would wake each other.
                return false
            }
            let storage = ReplyStorage(maximumBytes: configuration.maximumReplyBytes)
            state.replies[request.id] = storage
            result = .success(ParleyClient.Reply(id: request.id, storage: storage, core: self))
            apply(state.machine.flush(now: now), to: &state)
            return true
        }
        return result
    }

    func cancel(_ id: String, reason: String?, playedMilliseconds: Int64?) {
        perform { $0.cancel(id, reason: reason, playedMilliseconds: playedMilliseconds, now: $1) }
    }

    func interrupt(playedMilliseconds: Int64?) {
        perform { machine, now in
            machine.requests.ids.flatMap {
                machine.cancel($0, reason: "interrupted", playedMilliseconds: playedMilliseconds, now: now)
            }
        }
    }

    /// Ends the session and everything that belongs to it.
    ///
    /// - Returns: the socket that is being closed
    @discardableResult
    func close() -> ClientWebSocket? {
        let socket = state.withLock { $0.socket }
        perform { $0.close(now: $1) }
        state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
        }
        events.end()
        return socket
    }

    // MARK: Audio

    /// Reads a source of audio until its end, or until the reply ends.
    func startSource(_ id: String, _ body: @escaping @Sendable () async -> Void) {
        state.withLock { state in
            guard state.replies[id] != nil else { return }
            state.sources[id] = Task { await body() }
        }
    }

    /// Returns the stream of a request; nil after the end of the reply.
    func stream(_ id: String) -> AudioStream? { state.withLock { $0.machine.requests.stream(id) } }

    /// Returns when the stream has room for a chunk.
    ///
    /// - Returns: false if the reply has ended
    func waitForRoom(_ id: String) async -> Bool {
        while !Task.isCancelled {
            let version = signal.version
            guard let stream = stream(id) else { return false }
            if !stream.isFull { return true }
            await signal.wait(after: version)
        }
        return false
    }

    // MARK: Effects

    private func apply(_ effects: [SessionMachine.Effect], to state: inout State) {
        for effect in effects {
            switch effect {
            case .connect(let number, let token, let sequence):
                state.socket = nil
                cancelOpening(&state)
                state.opening = open(number, resumeToken: token, lastSequence: sequence)
            case .sendText(let text): state.socket?.post(text: text)
            case .sendBinary(let bytes): state.socket?.post(binary: bytes)
            case .drop(_, let isGraceful):
                if isGraceful { state.socket?.close(code: 1001) } else { state.socket?.abort() }
                state.socket = nil
                cancelOpening(&state)
            case .fetchToken: fetchToken(&state)
            case .emit(let event): emit(event, &state)
            }
        }
    }

    private func emit(_ event: ParleyClient.Event, _ state: inout State) {
        switch event {
        case .accepted(let id), .delta(let id, _, _), .transcript(let id, _, _), .audio(let id?, _, _), .progress(let id?, _):
            if let reply = state.replies[id], !reply.record(event) { state.oversized.append(id) }
        case .ended(let id, _):
            _ = state.replies.removeValue(forKey: id)?.record(event)
            if let source = state.sources.removeValue(forKey: id) { state.cancelled.append(source) }
        default: break
        }
        events.yield(event)
    }

    private func cancelOpening(_ state: inout State) {
        if let opening = state.opening { state.cancelled.append(opening) }
        state.opening = nil
    }

    private func setTimer(_ state: inout State) {
        guard let deadline = state.machine.deadline else { return }
        if let due = state.timerDue, due <= deadline { return }
        state.timer?.cancel()
        state.timerDue = deadline
        let wake = begun.advanced(by: .nanoseconds(deadline.nanoseconds))
        state.timer = Task { [weak self] in
            // Sleeping fails only if the task is cancelled.
            guard (try? await Task.sleep(until: wake, clock: .continuous)) != nil else { return }
            self?.timerFired()
        }
    }

    private func timerFired() {
        state.withLock { $0.timerDue = nil }
        perform { $0.tick(now: $1) }
    }

    // MARK: Connections

    private func fetchToken(_ state: inout State) {
        guard let token = configuration.token, !state.isFetchingToken else { return }
        state.isFetchingToken = true
        Task { [weak self] in
            let fresh = try? await token()
            self?.tokenFetched(fresh ?? nil)
        }
    }

    private func tokenFetched(_ token: String?) {
        state.withLock { $0.isFetchingToken = false }
        if let token { perform { machine, _ in machine.renew(token: token) } }
    }

    private func open(_ number: Int, resumeToken: String?, lastSequence: Int64) -> Task<Void, Never> {
        var url = url
        var options = ClientWebSocketOptions()
        options.timeout = configuration.connectTimeout
        options.closeTimeout = .seconds(2)
        switch configuration.trust {
        case .system: break
        case .authority(let path): options.verification = .authority(path: path)
        case .anyCertificate: options.verification = .none
        }
        if let resumeToken {
            url.target += (url.target.contains("?") ? "&" : "?") + "last_seq=\(lastSequence)"
            options.headers.add(name: "Parley-Resume", value: resumeToken)
        }
        let token = configuration.token
        return Task { [weak self, url, options] in
            let result = await Self.connect(to: url, options: options, token: token)
            switch result {
            case .success(let socket):
                guard let self, adopt(socket, number) else { return socket.abort() }
                await Self.read(socket, number) { [weak self] input in
                    guard let self else { return false }
                    perform(input)
                    return true
                }
            case .failure(let failure): self?.perform { $0.disconnected(number, failure, now: $1) }
            }
        }
    }

    /// Uses a connection, unless it is no longer wanted.
    private func adopt(_ socket: ClientWebSocket, _ number: Int) -> Bool {
        state.withLock { state in
            guard state.machine.connection == number, state.machine.hasConnection else { return false }
            state.socket = socket
            // From now on the task reads, and ends with the connection.
            state.opening = nil
            return true
        }
    }

    private static func connect(
        to url: WebSocketURL, options: ClientWebSocketOptions, token: (@Sendable () async throws -> String?)?
    ) async -> Result<ClientWebSocket, SessionMachine.Failure> {
        var options = options
        do {
            if let token = try await token?() { options.headers.add(name: "Authorization", value: "Bearer \(token)") }
        } catch {
            // The application's error may contain a credential.
            return .failure(SessionMachine.Failure(code: "token_failed", message: "no token: \(type(of: error))"))
        }
        do throws(ClientWebSocketError) {
            return .success(try await ClientWebSocket.connect(to: url, options: options))
        } catch {
            return .failure(SessionMachine.Failure(error))
        }
    }

    /// Passes what a connection receives to the state machine, until the connection or the client ends.
    private static func read(
        _ socket: ClientWebSocket, _ number: Int,
        perform: @Sendable ((inout SessionMachine, Instant) -> [SessionMachine.Effect]) -> Bool
    ) async {
        var isWanted = true
        while let event = await socket.next() {
            switch event {
            case .text(let json): isWanted = perform { $0.received(number, text: json, now: $1) }
            case .binary(let bytes): isWanted = perform { $0.received(number, binary: bytes, now: $1) }
            case .closed(let closing):
                _ = perform { $0.disconnected(number, SessionMachine.Failure(closing), now: $1) }
                return
            case .ping, .pong, .inserted: break
            }
            guard isWanted else { return socket.abort() }
        }
    }
}
