// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import NIOCore
import Support
import Testing

@Suite("A client of a Redis cluster", .serialized, .bounded) struct RedisClusterTests {
    /// Three masters, which all tests share.
    private static let servers = SharedValue { try await RedisServer.cluster() }

    private static let push = RedisScript("return redis.call('RPUSH', KEYS[1], ARGV[1])")

    private static func connect(
        _ servers: [RedisServer], _ change: (inout RedisSettings) -> Void = { _ in }, onConnect: RedisClient.ConnectHook? = nil
    ) async throws -> ConnectedClient {
        let client = ConnectedClient(RedisSettings(mode: .cluster, endpoints: [servers[0].endpoint]), change, onConnect: onConnect)
        try await client.waitUntilConnected()
        return client
    }

    private static func identifier(_ server: RedisServer) async throws -> String { try await server.cli("CLUSTER", "MYID") }

    /// Returns a key whose slot the server owns, and a server that doesn't own it.
    private static func key(_ name: String, of server: RedisServer) async throws -> (key: String, slot: Int) {
        for number in 0..<1000 {
            let key = "\(name)\(number)"
            if try await server.cli("GET", key) == "" { return (key, KeySlot.slot(of: Array(key.utf8))) }
        }
        throw TestFailure("no key of \(server.endpoint)")
    }

    @Test func `commands are sent to the masters of their keys`() async throws {
        let servers = try await Self.servers.value
        let client = try await Self.connect(servers)
        let written = try await client.sendAll((0..<300).map { ConnectedClient.command("SET", "a\($0)", "\($0)") })
        #expect(written.allSatisfy { $0.reply?.text == "OK" })
        let read = await client.client.sendBatch((0..<300).map { ConnectedClient.command("GET", "a\($0)") })
        #expect(read.results.map { $0.reply?.number } == (0..<300).map { $0 })
        var total = 0
        for server in servers {
            let size = Int(try await server.cli("DBSIZE")) ?? 0
            #expect(size > 50)
            total += size
        }
        #expect(total >= 300)
        #expect(try await client.client.send(RedisCommand("PING")).text == "PONG")
    }

    @Test func `the hook of each master knows its keys`() async throws {
        let servers = try await Self.servers.value
        let masters = AwaitableValue<[Int]>([])
        _ = try await Self.connect(
            servers,
            onConnect: { connection, completion in
                if connection.serves(key: Array("foo".utf8)) { masters.change { $0.append(connection.endpoint.port) } }
                completion(nil)
            })
        #expect(masters.value.count == 1)
        let owner = try #require(servers.first { $0.port == masters.value.first })
        #expect(try await owner.cli("GET", "foo") == "")
    }

    @Test func `scripts are loaded into each master, in the order of each key`() async throws {
        let servers = try await Self.servers.value
        for server in servers { try await server.cli("SCRIPT", "FLUSH") }
        let client = try await Self.connect(servers)
        let commands = (0..<90).map { index in
            var command = RedisCommand(evaluating: Self.push, key: Array("list\(index % 9)".utf8))
            command.append(index / 9)
            return command
        }
        #expect(try await client.sendAll(commands).allSatisfy { $0.failure == nil })
        for list in 0..<9 {
            let values = try await client.send("LRANGE", "list\(list)", "0", "-1").elements?.map(\.number)
            #expect(values == (0..<10).map { $0 })
        }
    }

    @Test func `a moved slot is followed, and the order of its keys is kept`() async throws {
        let servers = try await Self.servers.value
        let client = try await Self.connect(servers)
        let (key, slot) = try await Self.key("moved", of: servers[0])
        let target = try await Self.identifier(servers[1])
        for server in [servers[1], servers[0], servers[2]] {
            #expect(try await server.cli("CLUSTER", "SETSLOT", "\(slot)", "NODE", target) == "OK")
        }
        let results = try await client.sendAll((0..<50).map { ConnectedClient.command("RPUSH", key, "\($0)") })
        #expect(results.compactMap { $0.reply?.number } == (1...50).map { $0 })
        let list = try await client.send("LRANGE", key, "0", "-1").elements?.map(\.number)
        #expect(list == (0..<50).map { $0 })
        #expect(try await servers[1].cli("LLEN", key) == "50")
    }

    @Test func `a slot that is migrating is asked at its target`() async throws {
        let servers = try await Self.servers.value
        let client = try await Self.connect(servers)
        let (key, slot) = try await Self.key("asked", of: servers[0])
        let (source, target) = (try await Self.identifier(servers[0]), try await Self.identifier(servers[1]))
        #expect(try await servers[1].cli("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", source) == "OK")
        #expect(try await servers[0].cli("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", target) == "OK")
        let results = try await client.sendAll((0..<20).map { ConnectedClient.command("RPUSH", key, "\($0)") })
        #expect(results.compactMap { $0.reply?.number } == (1...20).map { $0 })
        #expect(try await servers[1].cli("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") == "1")
        let batch = await client.client.sendBatch(
            [ConnectedClient.command("RPUSH", key, "20")], wait: RedisReplicaWait(replicas: 1, timeout: .milliseconds(10)))
        #expect(batch.failure == nil)
        #expect(try batch.replicas?.get() == 0)
        for server in servers {
            #expect(try await server.cli("CLUSTER", "SETSLOT", "\(slot)", "NODE", target) == "OK")
        }
        #expect(try await client.send("LRANGE", key, "0", "-1").elements?.map(\.number) == (0...20).map { $0 })
    }

    @Test func `a command with keys of several slots fails`() async throws {
        let client = try await Self.connect(try await Self.servers.value)
        var command = ConnectedClient.command("MGET", "a")
        command.append(key: "b")
        let failure = await #expect(throws: RedisFailure.self) { try await client.client.send(command) }
        #expect(failure?.error?.code == "CROSSSLOT")
    }

    @Test func `a killed master makes only its slots unavailable`() async throws {
        let servers = try await Self.servers.value
        let client = try await Self.connect(servers)
        let (lost, _) = try await Self.key("lost", of: servers[2])
        let (kept, _) = try await Self.key("kept", of: servers[1])
        try await servers[2].kill()
        let reason = try await client.waitUntilDisconnected()
        #expect(reason.hasPrefix("\(servers[2].endpoint): "))
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("SET", lost, "1") }
        guard case .unavailable? = failure else { throw TestFailure("\(String(describing: failure))") }
        #expect(try await client.send("SET", kept, "1").text == "OK")
        try await servers[2].restart()
        for server in servers { try await server.wait(for: "cluster_state:ok", in: "CLUSTER", "INFO") }
        try await client.waitUntilConnected()
        #expect(try await client.send("SET", lost, "1").text == "OK")
    }

    @Test func `nodes that aren't in a cluster are the reason of the state`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(RedisSettings(mode: .cluster, endpoints: [server.endpoint]))
        #expect(try await client.waitUntilDisconnected() == "\(server.endpoint): the server isn't a node of a cluster")
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("GET", "k") }
        #expect(failure == .unavailable("\(server.endpoint): the server isn't a node of a cluster"))
        let single = ConnectedClient(try await Self.servers.value[0])
        #expect(try await single.waitUntilDisconnected().contains("redis+cluster://"))
    }

    // MARK: Redirections of a double

    /// A node that owns all slots and replies to `GET` as `answer` says.
    private static func double(_ answer: @escaping @Sendable (RedisDouble.Received, RedisEndpoint) -> String) async throws -> RedisDouble {
        try await RedisDouble { received, endpoint in
            switch received.words[0] {
            case "HELLO": .reply(RedisDouble.hello(mode: "cluster", role: "master"))
            case "CLUSTER": .reply("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$0\r\n\r\n:\(endpoint.port)\r\n$2\r\nid\r\n")
            case "GET": .reply(answer(received, endpoint))
            default: nil
            }
        }
    }

    @Test func `redirections without an end fail after five`() async throws {
        let double = try await Self.double { _, endpoint in "-MOVED 12182 \(endpoint)\r\n" }
        let client = ConnectedClient(RedisSettings(mode: .cluster, endpoints: [double.endpoint]))
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("GET", "foo") }
        #expect(failure == .unavailable("more than 5 redirections"))
        #expect(double.commands.filter { $0[0] == "GET" }.count == 6)
    }

    @Test func `TRYAGAIN is repeated, and each retry of ASK is preceded by ASKING`() async throws {
        let count = AwaitableValue(0)
        let double = try await Self.double { received, endpoint in
            count.change { $0 += 1 }
            return switch count.value {
            case 1: "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
            case 2: "-ASK 12182 \(endpoint)\r\n"
            default: "$1\r\nx\r\n"
            }
        }
        let client = ConnectedClient(RedisSettings(mode: .cluster, endpoints: [double.endpoint]))
        #expect(try await client.send("GET", "foo").text == "x")
        #expect(double.commands.filter { $0[0] != "CLUSTER" } == [["GET", "foo"], ["GET", "foo"], ["ASKING"], ["GET", "foo"]])
    }

    @Test func `a cluster that is down makes commands unavailable`() async throws {
        let double = try await Self.double { _, _ in "-CLUSTERDOWN The cluster is down\r\n" }
        let client = ConnectedClient(RedisSettings(mode: .cluster, endpoints: [double.endpoint]))
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("GET", "foo") }
        #expect(failure == .unavailable("CLUSTERDOWN The cluster is down"))
    }
}
