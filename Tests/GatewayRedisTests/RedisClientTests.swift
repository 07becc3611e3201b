// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import NIOCore
import NIOPosix
import Support
import Testing

@Suite("A client of one Redis server", .bounded) struct RedisClientTests {
    @Test func `replies to pipelined commands arrive in their order, and the commands leave in one write`() async throws {
        let double = try await RedisDouble { received, _ in received.words[0] == "ECHO" ? .reply("$2\r\n\(received.words[1])\r\n") : nil }
        let client = ConnectedClient(RedisSettings(endpoints: [double.endpoint]))
        try await client.waitUntilConnected()
        let results = try await client.sendAll((10..<60).map { ConnectedClient.command("ECHO", "\($0)") })
        #expect(results.map { $0.reply?.number } == (10..<60).map { Int64($0) })
        let reads = Set(double.received.value.filter { $0.words[0] == "ECHO" }.map(\.read))
        #expect(reads.count == 1)
    }

    @Test func `commands that are sent before the start are executed in their order`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(RedisSettings(endpoints: [server.endpoint]), isStarted: false)
        let replies = AwaitableValue<[Int64?]>([])
        for _ in 0..<100 {
            client.client.send(ConnectedClient.command("INCR", "n")) { result in replies.change { $0.append(result.reply?.number) } }
        }
        #expect(client.client.state == .connecting)
        client.client.start()
        let all: [Int64?]? = await replies.wait(timeout: .seconds(20)) { $0.count == 100 ? $0 : nil }
        #expect(all == (1...100).map { $0 })
        #expect(client.client.queueUsage == (0, 0))
    }

    @Test func `many threads can send at once`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var last: Int64 = 0
                    for _ in 0..<200 {
                        let number = try await client.send("INCR", "n").number ?? 0
                        #expect(number > last)
                        last = number
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await client.send("GET", "n").number == 1600)
    }

    @Test func `binary and large values are unchanged`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server)
        for count in [0, 1, 65536, 5_000_000] {
            let value = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            var command = ConnectedClient.command("SET", "k")
            command.append(value)
            #expect(try await client.client.send(command) == .status(Array("OK".utf8)))
            #expect(try await client.send("GET", "k") == .bulk(value))
        }
        #expect(try await client.send("GET", "missing") == .null)
    }

    @Test func `a batch has one result for each command, also for errors`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server)
        let result = await client.client.sendBatch([
            ConnectedClient.command("SET", "a", "1"), ConnectedClient.command("LPUSH", "a", "x"), ConnectedClient.command("INCR", "a"),
        ])
        #expect(result.results[0].reply == .status(Array("OK".utf8)))
        #expect(result.results[1].failure?.error?.code == "WRONGTYPE")
        #expect(result.results[2].reply == .integer(2))
        #expect(result.failure?.error?.code == "WRONGTYPE" && result.replicas == nil)
        let empty = await client.client.sendBatch([])
        #expect(empty.results.isEmpty && empty.failure == nil)
    }

    // MARK: Scripts

    private static let push = RedisScript("return redis.call('RPUSH', KEYS[1], ARGV[1])")

    @Test func `a script is loaded when the server doesn't have it, and the order of its key is kept`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server)
        try await client.waitUntilConnected()
        var commands: [RedisCommand] = []
        for index in 0..<60 {
            var command = RedisCommand(evaluating: Self.push, key: Array("list".utf8))
            command.append(index)
            commands.append(command)
            if index % 20 == 10 {
                var flush = RedisCommand("SCRIPT")
                flush.append("FLUSH" as StaticString)
                commands.append(flush)
            }
        }
        let results = try await client.sendAll(commands)
        #expect(results.allSatisfy { $0.failure == nil })
        let list = try await client.send("LRANGE", "list", "0", "-1").elements?.map { $0.number }
        #expect(list == (0..<60).map { Int64($0) })
        #expect(try await client.client.evaluate(Self.push, key: Array("list".utf8), arguments: [[0x78]]) == .integer(61))
    }

    @Test func `commands of a key wait for its rejected script, and those of other keys don't`() async throws {
        let isLoaded = AwaitableValue(false)
        let double = try await RedisDouble { received, _ in
            switch received.words[0] {
            case "SCRIPT":
                isLoaded.change { $0 = true }
                return .reply("$40\r\n\(Self.push.digest)\r\n")
            case "EVALSHA": return isLoaded.value ? .reply(":1\r\n") : .reply("-NOSCRIPT No matching script.\r\n")
            default: return nil
            }
        }
        let client = ConnectedClient(RedisSettings(endpoints: [double.endpoint]))
        try await client.waitUntilConnected()
        let loop = client.client.eventLoop
        let done = AwaitableValue<[String]>([])
        loop.execute {
            func send(_ name: String, _ command: RedisCommand, then: @escaping @Sendable () -> Void = {}) {
                client.client.send(command) { _ in
                    done.change { $0.append(name) }
                    then()
                }
            }
            // The reply to the first `SET` arrives after the first NOSCRIPT: its completion sends more while the key's commands wait.
            send("a1", RedisCommand(evaluating: Self.push, key: [0x61]))
            send("b1", ConnectedClient.command("SET", "b")) {
                client.client.send(ConnectedClient.command("SET", "a", "3")) { _ in done.change { $0.append("a3") } }
                client.client.send(ConnectedClient.command("SET", "b", "2")) { _ in done.change { $0.append("b2") } }
            }
            send("a2", RedisCommand(evaluating: Self.push, key: [0x61]))
        }
        let order: [String]? = await done.wait(timeout: .seconds(20)) { $0.count == 5 ? $0 : nil }
        #expect(order?.filter { $0.hasPrefix("a") } == ["a1", "a2", "a3"])
        #expect(order?.filter { $0.hasPrefix("b") } == ["b1", "b2"])
        let names = double.received.value.map { $0.words[0] + ($0.words.count > 3 ? $0.words[3] : $0.words.dropFirst().first ?? "") }
        #expect(names.suffix(8) == ["EVALSHAa", "SETb", "EVALSHAa", "SETb", "SCRIPTLOAD", "EVALSHAa", "EVALSHAa", "SETa"].map { $0 }[...])
    }

    @Test func `a script that the server never keeps fails with NOSCRIPT`() async throws {
        let double = try await RedisDouble { received, _ in received.words[0] == "EVALSHA" ? .reply("-NOSCRIPT gone\r\n") : nil }
        let client = ConnectedClient(RedisSettings(endpoints: [double.endpoint]))
        let failure = await #expect(throws: RedisFailure.self) { try await client.client.evaluate(Self.push, key: [1], arguments: []) }
        #expect(failure?.error?.code == "NOSCRIPT")
        #expect(double.commands.count == 4)
    }

    @Test func `the scripts of the settings are loaded before the first command`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server) { $0.scripts = [Self.push] }
        try await client.waitUntilConnected()
        #expect(try await server.cli("EVALSHA", Self.push.digest, "1", "k", "x") == "1")
    }

    // MARK: Limits

    @Test func `commands beyond the limit of the queue fail at once and aren't executed`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(RedisSettings(endpoints: [server.endpoint]), isStarted: false) { $0.maxQueuedCommands = 3 }
        let queued = [0, 1, 2].map { _ in
            let value = AwaitableValue<RedisReply?>(nil)
            client.client.send(ConnectedClient.command("INCR", "n")) { result in value.change { $0 = result.reply } }
            return value
        }
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("INCR", "n") }
        #expect(failure == .unavailable("the command queue is full (3 commands)"))
        let batch = await client.client.sendBatch([ConnectedClient.command("INCR", "n")])
        #expect(batch.failure == .unavailable("the command queue is full (3 commands)"))
        client.client.start()
        for value in queued { #expect(await value.wait(timeout: .seconds(20)) { $0 } != nil) }
        #expect(try await client.send("INCR", "n") == .integer(4))
    }

    @Test func `the bytes of queued commands are limited`() async throws {
        let server = try await RedisServer()
        let command = ConnectedClient.command("SET", "key", "value")
        let client = ConnectedClient(RedisSettings(endpoints: [server.endpoint]), isStarted: false) {
            $0.maxQueuedBytes = 2 * command.byteCount
        }
        let completed = AwaitableValue(0)
        for _ in 0..<2 { client.client.send(command) { _ in completed.change { $0 += 1 } } }
        #expect(client.client.queueUsage == (2, 2 * command.byteCount))
        let failure = await #expect(throws: RedisFailure.self) { try await client.client.send(RedisCommand("PING")) }
        #expect(failure == .unavailable("the command queue is full (\(2 * command.byteCount) bytes)"))
        client.client.start()
        #expect(await completed.wait(timeout: .seconds(20)) { $0 == 2 ? true : nil } == true)
        #expect(try await client.send("GET", "key").text == "value")
    }

    @Test func `a reply above the limit closes the connection`() async throws {
        let server = try await RedisServer()
        try await server.cli("SET", "k", "12345")
        let client = ConnectedClient(server) { $0.replyLimits.bulkBytes = 4096 }
        #expect(try await client.send("SETRANGE", "k", "4095", "x") == .integer(4096))
        #expect(try await client.send("GET", "k").bytes?.count == 4096)
        #expect(try await client.send("APPEND", "k", "x") == .integer(4097))
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("GET", "k") }
        #expect(failure == .interrupted("\(server.endpoint): a string of the server's reply exceeds the limit"))
        try await client.waitUntilDisconnected()
        try await client.waitUntilConnected()
    }

    // MARK: The hook

    @Test func `the hook runs before other commands, and again after each connect`() async throws {
        let server = try await RedisServer()
        let hooked = AwaitableValue(0)
        let client = ConnectedClient(
            server,
            onConnect: { connection, completion in
                #expect(connection.serverVersion.hasPrefix("7.") && connection.serves(key: [1]))
                connection.send(ConnectedClient.command("SET", "k", "hook")) { result in
                    hooked.change { $0 += 1 }
                    completion(result.failure)
                }
            })
        #expect(try await client.send("GET", "k").text == "hook")
        try await server.kill()
        try await client.waitUntilDisconnected()
        try await server.restart()
        try await client.waitUntilConnected()
        #expect(hooked.value == 2)
        #expect(try await client.send("GET", "k").text == "hook")
    }

    @Test func `a server that the hook rejects isn't used`() async throws {
        let server = try await RedisServer()
        let isAccepted = AwaitableValue(false)
        let client = ConnectedClient(
            server, onConnect: { _, completion in completion(isAccepted.value ? nil : .unavailable("the store is empty")) })
        #expect(try await client.waitUntilDisconnected() == "\(server.endpoint): the store is empty")
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("PING") }
        #expect(failure == .unavailable("\(server.endpoint): the store is empty"))
        isAccepted.change { $0 = true }
        try await client.waitUntilConnected()
    }

    @Test func `a closed client fails all commands`() async throws {
        let double = try await RedisDouble { received, _ in received.words[0] == "GET" ? .nothing : nil }
        let client = ConnectedClient(RedisSettings(endpoints: [double.endpoint]))
        try await client.waitUntilConnected()
        let result = AwaitableValue<RedisFailure?>(nil)
        client.client.send(ConnectedClient.command("GET", "k")) { outcome in result.change { $0 = outcome.failure } }
        _ = await double.received.wait(timeout: .seconds(20)) { $0.contains { $0.words[0] == "GET" } ? true : nil }
        await client.client.close()
        #expect(result.value == .interrupted("the client is closed"))
        #expect(client.client.state == .closed)
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("PING") }
        #expect(failure == .unavailable("the client is closed"))
    }
}
