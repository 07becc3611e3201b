// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// The connections of one event loop to the endpoints of a `websocket` upstream.
final class MultiplexTransport: UpstreamTransport {
    private let configuration: GatewayConfiguration.Upstream
    private let connector: SocketConnector
    private let pool: UpstreamPool
    private let loop: CallContext
    private var connections: [[MultiplexConnection]]
    private var isRetired = false

    init(_ configuration: GatewayConfiguration.Upstream, connector: SocketConnector, pool: UpstreamPool, loop: CallContext) {
        self.configuration = configuration
        self.connector = connector
        self.pool = pool
        self.loop = loop
        connections = configuration.urls.map { _ in [] }
    }

    func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt {
        let attempt = MultiplexAttempt(copy request, reporter: reporter)
        if let connection = connection(to: endpoint) {
            connection.add(attempt)
            if isRetired { connection.retire() }
        } else {
            var failure = CallFailure(.connectionsFull)
            (failure.mayHaveBeenProcessed, failure.outcome) = (false, .neither)
            attempt.fail(failure)
        }
        return attempt
    }

    /// Returns the connection with the fewest requests. Opens another one while all are busy and `connections_per_loop` allows it.
    ///
    /// - Returns: nil when all connections are full
    private func connection(to endpoint: Int) -> MultiplexConnection? {
        var best: MultiplexConnection?
        var usable = 0
        for connection in connections[endpoint] where connection.acceptsRequests {
            usable += 1
            if best.map({ connection.count < $0.count }) ?? true { best = connection }
        }
        if let best, best.count == 0 || usable >= configuration.connectionsPerLoop {
            return best.count < ConfiguredLimit.unlimitedIfZero(configuration.maxConnections) ? best : nil
        }
        let made = MultiplexConnection(pool: pool, at: loop.now) { [weak self] connection in
            self?.connections[endpoint].removeAll { $0 === connection }
        }
        connections[endpoint].append(made)
        made.connect(connector, endpoint: endpoint)
        return made
    }

    func sendClientState(_ state: ClientMessage.Status.State, of session: ULID, replyTo: MessageID?, playedMilliseconds: Int64?) {
        var message: [UInt8] = []
        message.appendJSON(expecting: 224) { writer in
            writer.object { writer in
                writer.member("type", literal: "status")
                writer.member("session", session)
                writer.member("state", state.rawValue)
                if let replyTo { writer.member("reply_to", replyTo) }
                if let playedMilliseconds { writer.member("played_ms", playedMilliseconds) }
            }
        }
        // Sent over the first connection that has carried a request of the session.
        let known = connections.joined().first { $0.lastSessions.contains(session) }
        known?.sendClientState(message)
    }

    func tick(now: Instant) {
        for group in connections {
            for connection in group {
                connection.tick(
                    now: now, idleClose: ConfiguredLimit.unlimitedIfZero(configuration.idleClose),
                    maxAge: ConfiguredLimit.unlimitedIfZero(configuration.maxAge),
                    betweenBytes: ConfiguredLimit.unlimitedIfZero(configuration.betweenBytesTimeout))
            }
        }
    }

    func retire() {
        isRetired = true
        for connection in connections.joined() { connection.retire() }
    }

    func close() {
        for connection in connections.joined() { connection.close(.unreachable("the upstream is no longer configured")) }
    }
}
