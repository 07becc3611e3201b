// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import NIOCore
import Support
import Testing

@Suite("Faults of a Redis server", .bounded) struct RedisClientFaultTests {
    @Test func `a server that can't be reached makes commands fail at once with the reason`() async throws {
        let port = try ReservedPort()
        let client = ConnectedClient(RedisSettings(endpoints: [RedisEndpoint(host: "127.0.0.1", port: port.number)]))
        let first = await #expect(throws: RedisFailure.self) { try await client.send("GET", "k") }
        #expect(first == .unavailable("127.0.0.1:\(port.number): Connection refused"))
        let second = await #expect(throws: RedisFailure.self) { try await client.send("GET", "k") }
        #expect(second == first)
        #expect(client.client.state == .disconnected("127.0.0.1:\(port.number): Connection refused"))
    }

    @Test func `a killed server interrupts commands, and is used again after its restart`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server)
        #expect(try await client.send("INCR", "n") == .integer(1))
        server.suspend()
        let outcome = AwaitableValue<RedisFailure?>(nil)
        client.client.send(ConnectedClient.command("INCR", "n")) { result in outcome.change { $0 = result.failure } }
        try await server.kill()
        let failure: RedisFailure? = await outcome.wait(timeout: .seconds(20)) { $0 }
        guard case .interrupted? = failure else { throw TestFailure("\(String(describing: failure))") }
        try await client.waitUntilDisconnected()
        let unavailable = await #expect(throws: RedisFailure.self) { try await client.send("INCR", "n") }
        guard case .unavailable? = unavailable else { throw TestFailure("\(String(describing: unavailable))") }
        try await server.restart()
        try await client.waitUntilConnected()
        #expect(try await client.send("INCR", "n") == .integer(1))
    }

    @Test func `a server that doesn't reply in time interrupts its commands`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server) {
            $0.commandTimeout = .milliseconds(200)
            $0.connectTimeout = .milliseconds(200)
        }
        try await client.waitUntilConnected()
        server.suspend()
        let results = try await client.sendAll((0..<3).map { _ in ConnectedClient.command("INCR", "n") })
        for result in results { #expect(result.failure == .interrupted("\(server.endpoint): no reply within 0.2 s")) }
        try await client.waitUntilDisconnected()
        server.resume()
        try await client.waitUntilConnected()
        #expect(try await client.send("GET", "n").number == 3)
    }

    @Test func `an idle connection to a server that doesn't reply is detected`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server) {
            $0.commandTimeout = .milliseconds(100)
            $0.pingInterval = .milliseconds(50)
        }
        try await client.waitUntilConnected()
        server.suspend()
        #expect(try await client.waitUntilDisconnected() == "\(server.endpoint): no reply within 0.1 s")
        server.resume()
    }

    @Test(arguments: ["hello\r\n", "$5\r\nabc\r\nxyz", "+OK\r\n+again\r\n"])
    func `a malformed or surplus reply closes the connection`(reply: String) async throws {
        let double = try await RedisDouble { received, _ in received.words[0] == "GET" ? .reply(reply) : nil }
        let client = ConnectedClient(RedisSettings(endpoints: [double.endpoint]))
        try await client.waitUntilConnected()
        _ = try? await client.send("GET", "k")
        #expect(try await client.waitUntilDisconnected().contains("the server"))
        try await client.waitUntilConnected()
    }

    @Test func `a lost connection completes all its commands before the next connection is used`() async throws {
        let double = try await RedisDouble { received, _ in received.connection == 1 && received.words[0] == "INCR" ? .close : nil }
        let client = ConnectedClient(RedisSettings(endpoints: [double.endpoint]))
        try await client.waitUntilConnected()
        let results = try await client.sendAll((0..<3).map { _ in ConnectedClient.command("INCR", "n") })
        for result in results { #expect(result.failure == .interrupted("\(double.endpoint): the server closed the connection")) }
        try await client.waitUntilDisconnected()
        try await client.waitUntilConnected()
        #expect(double.received.value.filter { $0.words[0] == "INCR" && $0.connection == 2 }.isEmpty)
    }

    // MARK: Errors of the server

    @Test func `a master that became a replica is abandoned until it is a master again`() async throws {
        let (server, other) = (try await RedisServer(), try await RedisServer())
        let client = ConnectedClient(server)
        try await client.waitUntilConnected()
        try await server.cli("REPLICAOF", "127.0.0.1", "\(other.port)")
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("SET", "k", "v") }
        #expect(failure?.error?.code == "READONLY")
        let isReplica: Bool? = await client.states.wait(timeout: .seconds(20)) { states in
            states.contains(.disconnected("\(server.endpoint): the server is a replica")) ? true : nil
        }
        #expect(isReplica == true)
        let unavailable = await #expect(throws: RedisFailure.self) { try await client.send("SET", "k", "v") }
        #expect(unavailable == .unavailable("\(server.endpoint): the server is a replica"))
        try await server.cli("REPLICAOF", "NO", "ONE")
        try await client.waitUntilConnected()
        #expect(try await client.send("SET", "k", "v").text == "OK")
    }

    @Test func `of several endpoints the master is used`() async throws {
        let master = try await RedisServer()
        let replica = try await RedisServer(["--replicaof", "127.0.0.1 \(master.port)"])
        let client = ConnectedClient(RedisSettings(endpoints: [replica.endpoint, master.endpoint]))
        // The replica is skipped within one attempt.
        #expect(try await client.send("SET", "k", "v").text == "OK")
        #expect(client.states.value == [.connected])
    }

    @Test func `a full memory, a wrong type and missing replicas are errors of one command`() async throws {
        let server = try await RedisServer(["--maxmemory", "100mb", "--min-replicas-max-lag", "1"])
        let client = ConnectedClient(server)
        #expect(try await client.send("RPUSH", "list", "x") == .integer(1))
        func error(_ name: StaticString, _ arguments: String...) async -> RedisError? {
            do throws(RedisFailure) {
                _ = try await client.client.send(ConnectedClient.command(name, arguments))
                return nil
            } catch { return error.error }
        }
        #expect(await error("GET", "list")?.code == "WRONGTYPE")
        try await server.cli("CONFIG", "SET", "maxmemory", "1")
        let full = await error("SET", "k", "v")
        #expect(full?.code == "OOM" && full?.isTemporary == true)
        try await server.cli("CONFIG", "SET", "maxmemory", "0", "min-replicas-to-write", "1")
        let missing = await error("SET", "k", "v")
        #expect(missing?.code == "NOREPLICAS" && missing?.isTemporary == true)
        try await server.cli("CONFIG", "SET", "min-replicas-to-write", "0")
        #expect(try await client.send("SET", "k", "v").text == "OK")
        #expect(client.states.value == [.connected])
    }

    @Test func `a server that loads its data is used when it has loaded them`() async throws {
        let server = try await RedisServer(["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"])
        do {
            let client = ConnectedClient(server)
            _ = try await client.sendAll((0..<3000).map { ConnectedClient.command("SET", "key\($0)", String(repeating: "x", count: 100)) })
        }
        try await server.cli("SAVE")
        try await server.kill()
        try await server.restart(until: "Loading RDB")
        let client = ConnectedClient(server)
        let reason = try await client.waitUntilDisconnected()
        #expect(reason.contains("LOADING"))
        try await server.cli("CONFIG", "SET", "key-load-delay", "0")
        try await client.waitUntilConnected()
        #expect(try await client.send("GET", "key299").bytes?.count == 100)
    }

    // MARK: Replicas

    @Test func `a batch waits for its replicas`() async throws {
        let master = try await RedisServer()
        let replica = try await RedisServer(["--replicaof", "127.0.0.1 \(master.port)"])
        try await replica.waitForSync()
        let client = ConnectedClient(master)
        let command = ConnectedClient.command("SET", "k", "v")
        let result = await client.client.sendBatch([command, command], wait: RedisReplicaWait(replicas: 1, timeout: .seconds(10)))
        #expect(result.failure == nil)
        #expect(try result.replicas?.get() == 1)
        let count = AwaitableValue<Int?>(nil)
        client.client.wait(replicas: 1, timeout: .seconds(10), key: nil) { result in count.change { $0 = try? result.get() } }
        #expect(await count.wait(timeout: .seconds(20)) { $0 } == 1)
        try await replica.kill()
        let lost = await client.client.sendBatch([command], wait: RedisReplicaWait(replicas: 1, timeout: .milliseconds(20)))
        #expect(lost.failure == nil)
        #expect(try lost.replicas?.get() == 0)
    }

    @Test func `the wait for replicas may take longer than a command`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server) { $0.commandTimeout = .milliseconds(500) }
        let result = await client.client.sendBatch(
            [ConnectedClient.command("SET", "k", "v")], wait: RedisReplicaWait(replicas: 1, timeout: .milliseconds(1000)))
        #expect(result.failure == nil)
        #expect(try result.replicas?.get() == 0)
    }

    @Test(arguments: [("*2\r\n:1\r\n:2\r\n", true, 2), ("*2\r\n:0\r\n:1\r\n", false, 1)])
    func `a batch can wait for the append-only file`(reply: String, isOnDisk: Bool, replicas: Int) async throws {
        let double = try await RedisDouble { received, _ in received.words == ["WAITAOF", "1", "2", "300"] ? .reply(reply) : nil }
        let client = ConnectedClient(RedisSettings(endpoints: [double.endpoint]))
        let wait = RedisReplicaWait(replicas: 2, timeout: .milliseconds(300), includesDisk: true)
        let result = await client.client.sendBatch([ConnectedClient.command("SET", "k", "v")], wait: wait)
        #expect(result.isOnDisk == isOnDisk)
        #expect(try result.replicas?.get() == replicas)
    }

    @Test func `a connection that is lost during the wait fails the wait`() async throws {
        let double = try await RedisDouble { received, _ in received.words[0] == "WAIT" ? .close : nil }
        let client = ConnectedClient(RedisSettings(endpoints: [double.endpoint]))
        try await client.waitUntilConnected()
        let result = await client.client.sendBatch(
            [ConnectedClient.command("SET", "k", "v")], wait: RedisReplicaWait(replicas: 1, timeout: .seconds(1)))
        #expect(result.results[0].failure == nil)
        guard case .failure(.interrupted)? = result.replicas else { throw TestFailure("\(result)") }
    }
}
