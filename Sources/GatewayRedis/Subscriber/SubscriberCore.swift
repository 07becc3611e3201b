// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// A subscribed connection that is opened again after it was lost. Used on one event loop only.
final class SubscriberCore {
    typealias Resolve = (_ completion: @escaping (Result<RedisEndpoint, RedisConnector.Failure>) -> Void) -> Void

    private enum Phase {
        case idle
        case connecting
        /// Some subscriptions aren't confirmed.
        case subscribing(RedisConnection)
        case ready(RedisConnection)
        case waiting
        case stopped
    }

    /// Called with each message.
    var onMessage: (_ channel: String, _ message: [UInt8]) -> Void = { _, _ in }
    /// Called when all channels are subscribed; with whether there was a connection before.
    var onSubscribed: (_ again: Bool) -> Void = { _ in }
    var onStateChange: (RedisClientState) -> Void = { _ in }

    private let connector: RedisConnector
    private let purpose: ConnectionPurpose
    private let resolve: Resolve
    private var channels: Set<String>
    private var unconfirmed: Set<String> = []
    private var phase = Phase.idle
    private var state = RedisClientState.connecting
    private var wasReady = false
    private var failures = 0
    private var isPongMissing = false
    private var pinger: RepeatedTask?
    private var retry: Scheduled<Void>?

    init(connector: RedisConnector, purpose: ConnectionPurpose, channels: [String], resolve: @escaping Resolve) {
        self.connector = connector
        self.purpose = purpose
        self.channels = Set(channels)
        self.resolve = resolve
    }

    func start() {
        guard case .idle = phase else { return }
        connect()
        let interval = connector.settings.pingInterval
        let bound = NIOLoopBound(self, eventLoop: connector.eventLoop)
        pinger = connector.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in bound.value.ping() }
    }

    func stop() {
        pinger?.cancel()
        retry?.cancel()
        let connection = connection
        phase = .stopped
        connection?.close("the subscriber is closed")
        change(.closed)
        onStateChange = { _ in }
    }

    func subscribe(_ channel: String) {
        guard channels.insert(channel).inserted, let connection else { return }
        unconfirmed.insert(channel)
        connection.push(.subscription("SUBSCRIBE", [channel]))
    }

    func unsubscribe(_ channel: String) {
        guard channels.remove(channel) != nil else { return }
        unconfirmed.remove(channel)
        connection?.push(.subscription("UNSUBSCRIBE", [channel]))
    }

    // MARK: Connecting

    private var connection: RedisConnection? {
        switch phase {
        case .subscribing(let connection), .ready(let connection): connection
        case .idle, .connecting, .waiting, .stopped: nil
        }
    }

    private func connect() {
        phase = .connecting
        resolve { [self] result in
            guard case .connecting = phase else { return }
            switch result {
            case .failure(let failure): failed(failure.reason)
            case .success(let endpoint):
                connector.connect(to: endpoint, for: purpose) { [self] result in
                    switch result {
                    case .failure(let failure): if case .connecting = phase { failed(failure.reason) }
                    case .success(let opened):
                        guard case .connecting = phase else { return opened.connection.close("the subscriber is closed") }
                        begin(opened.connection)
                    }
                }
            }
        }
    }

    private func begin(_ connection: RedisConnection) {
        phase = .subscribing(connection)
        isPongMissing = false
        connection.onPush = { [self] reply in receive(reply, connection) }
        connection.onClose = { [self] reason, _ in
            guard self.connection === connection else { return }
            failed("\(connection.endpoint): \(reason)")
        }
        unconfirmed = channels
        guard !channels.isEmpty else { return becomeReady(connection) }
        connection.push(.subscription("SUBSCRIBE", channels.sorted()))
        let limit = connector.settings.commandTimeout
        connector.eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in
            if case .subscribing(let current) = phase, current === connection { connection.close("no reply within \(limit.text)") }
        }
    }

    private func becomeReady(_ connection: RedisConnection) {
        phase = .ready(connection)
        failures = 0
        change(.connected)
        onSubscribed(wasReady)
        wasReady = true
    }

    private func failed(_ reason: String) {
        phase = .waiting
        failures += 1
        change(.disconnected(reason))
        guard case .waiting = phase else { return }
        let delay = MasterNode.backoff.delay(after: failures, random: .random(in: 0..<1))
        retry = connector.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [self] in
            if case .waiting = phase { connect() }
        }
    }

    private func change(_ new: RedisClientState) {
        guard state != new else { return }
        state = new
        onStateChange(new)
    }

    // MARK: Receiving

    private func receive(_ reply: RedisReply, _ connection: RedisConnection) {
        isPongMissing = false
        if case .error(let error) = reply { return connection.close("\(error)") }
        guard let elements = reply.elements, elements.count == 3, let channel = elements[1].text else { return }
        switch elements[0].text {
        case "message":
            if let message = elements[2].bytes, channels.contains(channel) { onMessage(channel, message) }
        case "subscribe":
            unconfirmed.remove(channel)
            if unconfirmed.isEmpty, case .subscribing = phase { becomeReady(connection) }
        default: break
        }
    }

    /// Closes a connection on which nothing was received since the last `PING`.
    private func ping() {
        guard case .ready(let connection) = phase else { return }
        guard !isPongMissing else { return connection.close("no reply within \(connector.settings.pingInterval.text)") }
        isPongMissing = true
        connection.push(RedisCommand("PING"))
    }
}

@available(*, unavailable)
extension SubscriberCore: Sendable {}

extension RedisCommand {
    fileprivate static func subscription(_ name: StaticString, _ channels: [String]) -> RedisCommand {
        var command = RedisCommand(name)
        for channel in channels { command.append(channel) }
        return command
    }
}
