// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import NIOCore
import NIOPosix
import Support
import Testing

@Suite("A subscriber of Redis", .bounded) struct RedisSubscriberTests {
    /// A subscriber, its messages, reconnects and states.
    private final class Subscription: Sendable {
        let subscriber: RedisSubscriber
        let messages = AwaitableValue<[String]>([])
        let reconnects = AwaitableValue(0)
        let states = AwaitableValue<[RedisClientState]>([])

        init(_ settings: RedisSettings, _ channels: [String]) {
            let (messages, reconnects, states) = (messages, reconnects, states)
            subscriber = RedisSubscriber(
                settings: settings, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), channels: channels,
                handler: { channel, message in messages.change { $0.append("\(channel) \(String(decoding: message, as: UTF8.self))") } },
                onReconnect: { reconnects.change { $0 += 1 } }, onStateChange: { state in states.change { $0.append(state) } })
            subscriber.start()
        }

        deinit {
            let subscriber = subscriber
            Task { await subscriber.close() }
        }

        func wait(for state: RedisClientState) async throws {
            let found: Bool? = await states.wait(timeout: .seconds(20)) { $0.last == state ? true : nil }
            guard found == true else { throw TestFailure("\(states.value)") }
        }

        func wait(for expected: [String]) async throws {
            let found: Bool? = await messages.wait(timeout: .seconds(20)) { $0 == expected ? true : nil }
            guard found == true else { throw TestFailure("\(messages.value)") }
        }
    }

    private static func settings(_ server: RedisServer) -> RedisSettings { RedisSettings(endpoints: [server.endpoint]) }

    @Test func `messages of the channels are received in order`() async throws {
        let server = try await RedisServer()
        let subscription = Subscription(Self.settings(server), ["a", "b"])
        try await subscription.wait(for: .connected)
        let client = ConnectedClient(server)
        for number in 0..<50 { _ = try await client.send("PUBLISH", number % 2 == 0 ? "a" : "b", "\(number)") }
        #expect(try await client.send("PUBLISH", "c", "x") == .integer(0))
        try await subscription.wait(for: (0..<50).map { "\($0 % 2 == 0 ? "a" : "b") \($0)" })
        #expect(subscription.reconnects.value == 0)
    }

    @Test func `channels can be added and removed`() async throws {
        let server = try await RedisServer()
        let subscription = Subscription(Self.settings(server), [])
        try await subscription.wait(for: .connected)
        subscription.subscriber.subscribe("a")
        try await server.wait(for: "1", in: "PUBSUB", "NUMSUB", "a")
        try await server.cli("PUBLISH", "a", "1")
        try await subscription.wait(for: ["a 1"])
        subscription.subscriber.unsubscribe("a")
        try await server.wait(for: "0", in: "PUBSUB", "NUMSUB", "a")
        subscription.subscriber.subscribe("b")
        try await server.wait(for: "1", in: "PUBSUB", "NUMSUB", "b")
        try await server.cli("PUBLISH", "b", "2")
        try await subscription.wait(for: ["a 1", "b 2"])
    }

    @Test func `after a lost connection the channels are subscribed again and the gap is reported`() async throws {
        let server = try await RedisServer()
        let subscription = Subscription(Self.settings(server), ["a"])
        try await subscription.wait(for: .connected)
        subscription.subscriber.subscribe("b")
        try await server.kill()
        let isLost: Bool? = await subscription.states.wait(timeout: .seconds(20)) { $0.count > 1 ? true : nil }
        #expect(isLost == true)
        try await server.restart()
        #expect(await subscription.reconnects.wait(timeout: .seconds(20)) { $0 == 1 ? true : nil } == true)
        #expect(subscription.subscriber.state == .connected)
        try await server.cli("PUBLISH", "b", "1")
        try await subscription.wait(for: ["b 1"])
    }

    @Test func `a server that doesn't reply is detected`() async throws {
        let server = try await RedisServer()
        var settings = Self.settings(server)
        settings.pingInterval = .milliseconds(50)
        let subscription = Subscription(settings, ["a"])
        try await subscription.wait(for: .connected)
        server.suspend()
        let isLost: Bool? = await subscription.states.wait(timeout: .seconds(20)) { $0.count > 1 ? true : nil }
        #expect(isLost == true)
        #expect(subscription.states.value[1] == .disconnected("\(server.endpoint): no reply within 0.05 s"))
        server.resume()
        #expect(await subscription.reconnects.wait(timeout: .seconds(20)) { $0 > 0 ? true : nil } == true)
    }

    @Test func `a channel that the user may not subscribe to is the reason of the state`() async throws {
        let server = try await RedisServer()
        try await server.cli("ACL", "SETUSER", "parley", "on", ">secret", "~*", "+@all", "resetchannels", "&a")
        var settings = Self.settings(server)
        settings.user = "parley"
        settings.password = RedisPassword("secret")
        let subscription = Subscription(settings, ["a", "b"])
        let isRejected: Bool? = await subscription.states.wait(timeout: .seconds(20)) { states in
            if case .disconnected(let reason)? = states.first { reason.contains("NOPERM") } else { nil }
        }
        #expect(isRejected == true)
    }
}
