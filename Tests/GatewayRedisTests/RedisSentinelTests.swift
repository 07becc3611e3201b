// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import NIOCore
import Support
import Testing

@Suite("A client of Redis Sentinel", .bounded) struct RedisSentinelTests {
    /// A master with a replica, and a Sentinel that knows both.
    private struct Group {
        let master: RedisServer
        let replica: RedisServer
        let sentinel: RedisServer

        init(options: [String] = []) async throws {
            master = try await RedisServer()
            replica = try await RedisServer(["--replicaof", "127.0.0.1 \(master.port)"])
            try await replica.waitForSync()
            sentinel = try await RedisServer(sentinelOf: master, name: "main", options: options)
        }

        func waitForReplica() async throws { try await sentinel.wait(for: "127.0.0.1:\(replica.port)", in: "SENTINEL", "REPLICAS", "main") }
    }

    private static func settings(_ sentinels: RedisEndpoint..., master: String = "main") -> RedisSettings {
        RedisSettings(mode: .sentinel(master: master), endpoints: sentinels)
    }

    @Test func `the master is found by its name, also if some Sentinels are down`() async throws {
        let group = try await Group()
        let unused = try ReservedPort()
        let client = ConnectedClient(Self.settings(RedisEndpoint(host: "127.0.0.1", port: unused.number), group.sentinel.endpoint))
        #expect(try await client.send("SET", "k", "v").text == "OK")
        #expect(try await group.master.cli("GET", "k") == "v")
    }

    @Test func `a name that no Sentinel knows is the reason of the state`() async throws {
        let group = try await Group()
        let client = ConnectedClient(Self.settings(group.sentinel.endpoint, master: "other"))
        #expect(
            try await client.waitUntilDisconnected() == "\(group.sentinel.endpoint): the Sentinel doesn't know the master other")
        let server = ConnectedClient(Self.settings(group.master.endpoint))
        #expect(try await server.waitUntilDisconnected() == "\(group.master.endpoint): the server isn't a Sentinel")
    }

    @Test func `a Sentinel can have a password of its own`() async throws {
        let group = try await Group(options: ["requirepass guard"])
        let url = try RedisURL("redis+sentinel://127.0.0.1:\(group.sentinel.port)/main?sentinel_password=guard")
        let client = ConnectedClient(try RedisSettings(urls: [url]))
        try await client.waitUntilConnected()
        let wrong = ConnectedClient(Self.settings(group.sentinel.endpoint))
        #expect(try await wrong.waitUntilDisconnected().contains("NOAUTH"))
    }

    @Test func `an announced failover leads to the new master`() async throws {
        let group = try await Group()
        let client = ConnectedClient(Self.settings(group.sentinel.endpoint))
        #expect(try await client.send("SET", "k", "1").text == "OK")
        try await group.waitForReplica()
        try await group.sentinel.wait(for: "OK", in: "SENTINEL", "FAILOVER", "main")
        _ = try await client.waitUntilDisconnected()
        try await client.waitUntilConnected()
        #expect(try await client.send("SET", "k", "2").text == "OK")
        #expect(try await group.replica.cli("GET", "k") == "2")
    }

    @Test func `a killed master is replaced by its replica`() async throws {
        let group = try await Group()
        let client = ConnectedClient(Self.settings(group.sentinel.endpoint))
        // Replication is asynchronous, so that a write can get lost without the wait.
        let written = await client.client.sendBatch(
            [ConnectedClient.command("SET", "k", "1")], wait: RedisReplicaWait(replicas: 1, timeout: .seconds(10)))
        #expect(written.failure == nil)
        try await group.waitForReplica()
        try await group.master.kill()
        _ = try await client.waitUntilDisconnected()
        try await client.waitUntilConnected()
        #expect(try await client.send("INCR", "k") == .integer(2))
        #expect(try await group.replica.cli("GET", "k") == "2")
    }
}
