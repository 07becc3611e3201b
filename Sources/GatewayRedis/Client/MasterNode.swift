// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import Logging
import NIOCore

/// The connection to one master, which is opened again after it was lost. Used on the client's event loop only.
final class MasterNode {
    enum Phase {
        case connecting
        case ready(RedisConnection)
        /// Until the next attempt; with the reason why there is no connection.
        case waiting(String)
        case stopped(String)
    }

    private(set) var phase = Phase.connecting
    /// The address in a cluster; nil if it is found before each attempt.
    let fixedEndpoint: RedisEndpoint?
    /// The address of the current or last connection.
    private(set) var endpoint: RedisEndpoint?
    /// Whether commands are queued, because the first attempt hasn't ended.
    private(set) var isFirstAttempt = true

    /// The number of slots of a cluster that are assigned to this node.
    var slotCount = 0

    private let core: ClientCore
    private var queue: [PendingCommand] = []
    private var failures = 0
    private var lastFailure = "not connected"
    /// Distinguishes the current attempt from earlier ones.
    private var attempt = 0
    private var retry: Scheduled<Void>?

    /// The delays between attempts: full jitter, 50 ms to 2 s.
    static let backoff: Backoff = {
        var backoff = Backoff()
        backoff.base = .milliseconds(50)
        backoff.limit = .seconds(2)
        return backoff
    }()

    init(core: ClientCore, fixedEndpoint: RedisEndpoint?) {
        self.core = core
        self.fixedEndpoint = fixedEndpoint
        endpoint = fixedEndpoint
    }

    var connection: RedisConnection? {
        if case .ready(let connection) = phase { connection } else { nil }
    }

    /// Whether nothing depends on the node.
    var isUnused: Bool { queue.isEmpty && connection?.inFlight.isEmpty ?? true }

    // MARK: Commands

    /// Sends a command, or queues it during the first attempt to connect.
    ///
    /// - Returns: the connection on which the command was sent
    @discardableResult
    func send(_ pending: PendingCommand) -> RedisConnection? {
        switch phase {
        case .ready(let connection):
            transmit(pending, connection)
            return connection
        case .connecting where isFirstAttempt: queue.append(pending)
        case .connecting: pending.complete(.failure(.unavailable(lastFailure)))
        case .waiting(let reason), .stopped(let reason): pending.complete(.failure(.unavailable(reason)))
        }
        return nil
    }

    private func transmit(_ pending: PendingCommand, _ connection: RedisConnection) {
        if pending.askedEndpoint != nil {
            pending.askedEndpoint = nil
            connection.send(RedisCommand("ASKING")) { _ in }
        }
        connection.send(pending)
    }

    // MARK: Connecting

    func connect() {
        retry?.cancel()
        resolve(remaining: fixedEndpoint == nil ? core.resolver.candidateCount : 1)
    }

    /// Finds the address of the master and connects to it; tries the next address until none remains.
    private func resolve(remaining: Int) {
        attempt += 1
        let current = attempt
        phase = .connecting
        let isCurrent = { [weak self] in self?.attempt == current }
        if let fixedEndpoint { return open(fixedEndpoint, remaining, isCurrent) }
        core.resolver.resolve { [self] result in
            guard isCurrent() else { return }
            switch result {
            case .failure(let failure): failed(failure.reason)
            case .success(let endpoint): open(endpoint, remaining, isCurrent)
            }
        }
    }

    private func open(_ endpoint: RedisEndpoint, _ remaining: Int, _ isCurrent: @escaping () -> Bool) {
        self.endpoint = endpoint
        core.connector.connect(to: endpoint, for: .master) { [self] result in
            switch result {
            case .failure(let failure):
                guard isCurrent() else { return }
                if remaining > 1 { resolve(remaining: remaining - 1) } else { failed(failure.reason) }
            case .success(let opened):
                guard isCurrent() else { return opened.connection.close("superseded") }
                opened.connection.onClose = { [self] reason, commands in
                    for command in commands { command.complete(.failure(.interrupted(reason))) }
                    if isCurrent() { failed("\(endpoint): \(reason)") }
                }
                core.check(opened, of: self) { [self] failure in
                    guard isCurrent() else { return opened.connection.close("superseded") }
                    guard !opened.connection.isClosed else { return }
                    if let failure {
                        attempt += 1
                        opened.connection.close("\(failure)")
                        failed("\(endpoint): \(failure)")
                    } else {
                        becomeReady(opened.connection)
                    }
                }
            }
        }
    }

    private func becomeReady(_ connection: RedisConnection) {
        phase = .ready(connection)
        failures = 0
        isFirstAttempt = false
        core.logger.info("connected to Redis", metadata: ["address": "\(connection.endpoint)"])
        connection.onReply = { [self] pending, reply in core.received(reply, to: pending, on: connection) }
        connection.onClose = { [self] reason, commands in lost(connection, reason, commands) }
        let queued = queue
        queue = []
        for pending in queued { transmit(pending, connection) }
        core.changed()
    }

    private func failed(_ reason: String) {
        guard case .connecting = phase else { return }
        attempt += 1
        phase = .waiting(reason)
        lastFailure = reason
        isFirstAttempt = false
        let queued = queue
        queue = []
        core.updateState()
        for pending in queued { pending.complete(.failure(.unavailable(reason))) }
        core.attemptFailed(self)
        core.changed()
        scheduleRetry()
    }

    private func lost(_ connection: RedisConnection, _ reason: String, _ commands: Deque<PendingCommand>) {
        guard case .ready(let current) = phase, current === connection else { return }
        attempt += 1
        let text = "\(connection.endpoint): \(reason)"
        phase = .waiting(text)
        lastFailure = text
        core.updateState()
        for command in commands { command.complete(.failure(.interrupted(text))) }
        core.failLanes(of: connection, text)
        core.attemptFailed(self)
        core.changed()
        scheduleRetry()
    }

    private func scheduleRetry() {
        guard case .waiting = phase else { return }
        failures += 1
        let delay = Self.backoff.delay(after: failures, random: .random(in: 0..<1))
        retry = core.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [self] in
            guard case .waiting = phase else { return }
            connect()
        }
    }

    /// Closes the connection, because the server isn't the master any more, and looks for the master after a delay.
    func abandon(_ reason: String) { connection?.close(reason) }

    /// Closes the connection, because there is a new master, and connects to that at once.
    func masterChanged(_ reason: String) {
        connection?.close(reason)
        if case .stopped = phase { return }
        connect()
    }

    func stop(_ reason: String) {
        attempt += 1
        retry?.cancel()
        let connection = connection
        phase = .stopped(reason)
        let queued = queue
        queue = []
        connection?.onClose = { [core] reason, commands in
            for command in commands { command.complete(.failure(.interrupted(reason))) }
            if let connection { core.failLanes(of: connection, reason) }
        }
        connection?.close(reason)
        for pending in queued { pending.complete(.failure(.unavailable(reason))) }
    }
}

@available(*, unavailable)
extension MasterNode: Sendable {}
