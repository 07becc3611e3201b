// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import Logging
import NIOCore
import NIOPosix
import Support

/// A client of a test, which is closed with this object, and the changes of its state.
final class ConnectedClient: Sendable {
    let client: RedisClient
    let states: AwaitableValue<[RedisClientState]>

    /// Creates a client and starts it.
    init(
        _ settings: RedisSettings, isStarted: Bool = true, _ change: (inout RedisSettings) -> Void = { _ in },
        onConnect: RedisClient.ConnectHook? = nil
    ) {
        var settings = settings
        change(&settings)
        let states = AwaitableValue<[RedisClientState]>([])
        self.states = states
        client = RedisClient(
            settings: settings, eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: Logger(label: "test") { _ in LogRecorder() },
            onConnect: onConnect, onStateChange: { state in states.change { $0.append(state) } })
        if isStarted { client.start() }
    }

    convenience init(
        _ server: RedisServer, _ change: (inout RedisSettings) -> Void = { _ in }, onConnect: RedisClient.ConnectHook? = nil
    ) {
        self.init(RedisSettings(endpoints: [server.endpoint]), change, onConnect: onConnect)
    }

    deinit {
        let client = client
        Task { await client.close() }
    }

    /// Waits until the last state satisfies a condition.
    func wait(_ what: String, timeout: Duration = .seconds(20), for condition: @Sendable (RedisClientState) -> Bool) async throws {
        let found: Bool? = await states.wait(timeout: timeout) { states in states.last.map(condition) == true ? true : nil }
        guard found == true else { throw TestFailure("the client isn't \(what): \(states.value)") }
    }

    func waitUntilConnected() async throws { try await wait("connected") { $0 == .connected } }

    /// Waits for the end of the connection, and returns the reason.
    @discardableResult
    func waitUntilDisconnected() async throws -> String {
        let reason: String? = await states.wait(timeout: .seconds(20)) { states in
            for case .disconnected(let reason) in states { return reason }
            return nil
        }
        guard let reason else { throw TestFailure("the client isn't disconnected: \(states.value)") }
        return reason
    }

    /// Sends a command with these arguments; the first is the key.
    func send(_ name: StaticString, _ arguments: String...) async throws(RedisFailure) -> RedisReply {
        try await client.send(Self.command(name, arguments))
    }

    static func command(_ name: StaticString, _ arguments: [String]) -> RedisCommand {
        var command = RedisCommand(name)
        for (index, argument) in arguments.enumerated() {
            if index == 0 { command.append(key: argument) } else { command.append(argument) }
        }
        return command
    }

    static func command(_ name: StaticString, _ arguments: String...) -> RedisCommand { command(name, arguments) }

    /// Sends commands at once from the event loop, and returns their results in the order of their completion.
    func sendAll(_ commands: [RedisCommand]) async throws -> [Result<RedisReply, RedisFailure>] {
        let results = AwaitableValue<[Result<RedisReply, RedisFailure>]>([])
        client.eventLoop.execute { [client] in
            for command in commands { client.send(command) { result in results.change { $0.append(result) } } }
        }
        let all: [Result<RedisReply, RedisFailure>]? = await results.wait(timeout: .seconds(20)) { $0.count == commands.count ? $0 : nil }
        guard let all else { throw TestFailure("only \(results.value.count) of \(commands.count) commands completed") }
        return all
    }
}

extension RedisFailure {
    /// The error that the server replied; nil for other failures.
    var error: RedisError? { if case .error(let error) = self { error } else { nil } }
}

extension Result<RedisReply, RedisFailure> {
    var failure: RedisFailure? { if case .failure(let failure) = self { failure } else { nil } }
    var reply: RedisReply? { try? get() }
}
