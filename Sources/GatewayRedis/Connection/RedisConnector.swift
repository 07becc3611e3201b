// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayTLS
import NIOCore
import NIOPosix

/// Opens connections: TCP, TLS, authentication, selection of the database, and a check of the server's role. Used on one event loop only.
final class RedisConnector {
    /// A connection that is ready for commands.
    struct Opened {
        var connection: RedisConnection
        var greeting: ServerGreeting
    }

    /// The reason why a server can't be used.
    struct Failure: Error {
        var reason: String
    }

    let settings: RedisSettings
    let eventLoop: any EventLoop
    private let buffers = TLSBuffers()
    private var contexts: [String: TLSClientContext] = [:]

    /// The number of hosts whose TLS contexts are kept, because their files are read only once.
    private static let maxContexts = 256

    init(settings: RedisSettings, eventLoop: any EventLoop) {
        self.settings = settings
        self.eventLoop = eventLoop
    }

    /// Opens a connection. `completion` is called once, after `connectTimeout` at the latest.
    func connect(
        to endpoint: RedisEndpoint, for purpose: ConnectionPurpose, completion: @escaping (Result<Opened, Failure>) -> Void
    ) {
        let context: TLSClientContext?
        do throws(TLSConfigurationError) {
            context = try tlsContext(for: endpoint.host)
        } catch {
            return completion(.failure(Failure(reason: "\(endpoint): \(error)")))
        }
        let attempt = Attempt(endpoint: endpoint, completion: completion)
        let timer = eventLoop.assumeIsolated().scheduleTask(in: settings.connectTimeout) { [settings] in
            attempt.fail("not ready within \(settings.connectTimeout.text)")
        }
        attempt.timer = timer
        let bootstrap = ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            // The attempt's own timer fires first and covers the whole attempt.
            .connectTimeout(settings.connectTimeout + .seconds(1))
        // An address needs no resolver, which uses another thread.
        let connecting =
            if let address = try? SocketAddress(ipAddress: endpoint.host, port: endpoint.port) {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: endpoint.host, port: endpoint.port)
            }
        connecting.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .failure(let error): attempt.fail(ConnectionErrorReason.reason(error))
            case .success(let channel):
                guard !attempt.isEnded else { return channel.close(promise: nil) }
                do { try prepare(channel, context, attempt, purpose) } catch {
                    attempt.fail(ConnectionErrorReason.reason(error))
                    channel.close(promise: nil)
                }
            }
        }
    }

    private func prepare(
        _ channel: any Channel, _ context: TLSClientContext?, _ attempt: Attempt, _ purpose: ConnectionPurpose
    ) throws {
        let connection = RedisConnection(endpoint: attempt.endpoint, settings: settings)
        attempt.connection = connection
        connection.onReady = { [self] in introduce(connection, attempt, purpose) }
        connection.onClose = { reason, commands in
            for command in commands { command.complete(.failure(.interrupted(reason))) }
            attempt.fail(reason)
        }
        try channel.pipeline.syncOperations.addHandler(connection)
        if let context {
            try channel.pipeline.syncOperations.addHandler(TLSHandler(client: context, buffers: buffers), position: .first)
        }
    }

    /// Sends the first commands, in one write.
    private func introduce(_ connection: RedisConnection, _ attempt: Attempt, _ purpose: ConnectionPurpose) {
        connection.send(hello(purpose)) { [settings] result in
            switch result {
            case .failure(let failure): attempt.fail(Self.reason(failure))
            case .success(let reply):
                guard let greeting = ServerGreeting(reply) else { return attempt.fail("unexpected reply to HELLO") }
                if let objection = greeting.objection(to: purpose, in: settings) { return attempt.fail(objection) }
                attempt.greeting = greeting
                if purpose == .sentinel { attempt.succeed() }
            }
        }
        guard purpose != .sentinel else { return }
        if purpose == .master {
            if settings.mode != .cluster, settings.database != 0 {
                var command = RedisCommand("SELECT")
                command.append(settings.database)
                connection.send(command) { attempt.failIfNeeded($0) }
            }
            for script in settings.scripts { connection.send(.load(script)) { attempt.failIfNeeded($0) } }
        }
        // A server that loads its data accepts HELLO, but not PING.
        connection.send(RedisCommand("PING")) { result in
            attempt.failIfNeeded(result)
            attempt.succeed()
        }
    }

    private func hello(_ purpose: ConnectionPurpose) -> RedisCommand {
        let (user, password) =
            purpose == .sentinel ? (settings.sentinelUser, settings.sentinelPassword) : (settings.user, settings.password)
        var command = RedisCommand("HELLO")
        command.append(2)
        if let password {
            command.append("AUTH" as StaticString)
            command.append(user ?? "default")
            command.append(password.text)
        }
        return command
    }

    private static func reason(_ failure: RedisFailure) -> String {
        guard case .error(let error) = failure else { return "\(failure)" }
        switch error.code {
        case "WRONGPASS": return "wrong user or password (WRONGPASS)"
        case "NOAUTH": return "the server requires a password (NOAUTH)"
        // The text can quote an argument.
        case "ERR" where error.text.hasPrefix("unknown command"): return "the server doesn't support HELLO; Redis 6.2 or later is required"
        case "ERR" where error.text.contains("AUTH"): return "the server rejected the user or password (ERR)"
        default: return "\(error)"
        }
    }

    private func tlsContext(for host: String) throws(TLSConfigurationError) -> TLSClientContext? {
        guard let tls = settings.tls else { return nil }
        if let context = contexts[host] { return context }
        let context = try tls.context(for: host)
        if contexts.count >= Self.maxContexts { contexts = [:] }
        contexts[host] = context
        return context
    }

    /// An attempt to open a connection.
    private final class Attempt {
        let endpoint: RedisEndpoint
        var connection: RedisConnection?
        var greeting: ServerGreeting?
        var timer: Scheduled<Void>?
        private var completion: ((Result<Opened, Failure>) -> Void)?

        init(endpoint: RedisEndpoint, completion: @escaping (Result<Opened, Failure>) -> Void) {
            self.endpoint = endpoint
            self.completion = completion
        }

        var isEnded: Bool { completion == nil }

        func fail(_ reason: String) {
            guard let completion = completion.take() else { return }
            timer?.cancel()
            connection?.close(reason)
            connection = nil
            completion(.failure(Failure(reason: "\(endpoint): \(reason)")))
        }

        func failIfNeeded(_ result: Result<RedisReply, RedisFailure>) {
            if case .failure(let failure) = result { fail(RedisConnector.reason(failure)) }
        }

        func succeed() {
            guard let connection, let greeting, let completion = completion.take() else { return }
            timer?.cancel()
            self.connection = nil
            completion(.success(Opened(connection: connection, greeting: greeting)))
        }
    }
}

@available(*, unavailable)
extension RedisConnector: Sendable {}

extension RedisCommand {
    static func load(_ script: RedisScript) -> RedisCommand {
        var command = RedisCommand("SCRIPT")
        command.append("LOAD" as StaticString)
        command.append(script.source)
        return command
    }
}
