// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import Logging
import Support
import Testing

@testable import GatewayCore
@testable import GatewayServer

/// Outages of the server, and servers that can't be used.
@Suite struct RedisStoreOutageTests {
    private let id = ULID(high: 7, low: 7)

    private func reason(_ health: HealthRegistry) -> String? { health.report.parts.first { $0.part == .store }?.reason }

    private func waitForRecovery(_ store: RedisStore, _ health: HealthRegistry) async throws {
        try await eventually { store.acceptsWork && reason(health) == nil }
    }

    @Test func `batches are committed once when the server is killed under load`() async throws {
        let redis = try await RedisStoreHarness(["--appendonly", "yes", "--appendfsync", "always"])
        let store = try await redis.open { $0.acknowledge = .disk }
        let events = StoreEvents()
        events.watchLosses(of: store)
        let today = UTCDay(unixMilliseconds: WallTime.now().unixMilliseconds)
        let committed = AwaitableValue(0)
        func submit(_ numbers: Range<UInt64>) {
            for number in numbers {
                var batch = StoreBatch(ULID(high: number % 7, low: 0), .history, number, "text \(number)")
                batch.add(UsageAmounts(messages: 1), to: UsageRow(user: "u", day: today, route: "r", upstream: "a"))
                store.submit(batch) { committed.change { $0 += 1 } }
            }
        }
        for round in 0..<3 as Range<UInt64> {
            submit(round * 400..<round * 400 + 200)
            _ = await committed.wait(timeout: .seconds(20)) { $0 > Int(round) * 400 + 20 ? true : nil }
            async let killed: Void = redis.server.kill()
            submit(round * 400 + 200..<round * 400 + 400)
            try await killed
            try await redis.server.restart()
            _ = await committed.wait(timeout: .seconds(20)) { $0 == (Int(round) + 1) * 400 ? true : nil }
            #expect(committed.value == (Int(round) + 1) * 400)
        }
        #expect(events.names.value.isEmpty)
        var history: [UInt64] = []
        for high in 0..<7 as Range<UInt64> {
            history += try await store.loadSession(ULID(high: high, low: 0))?.records[.history]?.map(\.number) ?? []
        }
        #expect(history.sorted() == Array(0..<1200))
        let usage = await withCheckedContinuation { continuation in
            store.loadUsage(of: "u", wall: WallTime.now().unixMilliseconds) { continuation.resume(returning: $0) }
        }
        #expect(usage.month.messages == 1200)
        await store.close()
    }

    @Test func `without memory new work is rejected, and the end of sessions makes room`() async throws {
        let redis = try await RedisStoreHarness()
        let (health, log, events) = (HealthRegistry(), LogRecorder(), StoreEvents())
        let store = try await redis.open(health: health, log: log)
        await store.commit(StoreBatch(id, .history, 0, String(repeating: "x", count: 4_000_000)))
        #expect(store.acceptsWork && reason(health) == nil)
        // Less than the session, but enough for an empty server with its buffers.
        try await redis.server.cli("CONFIG", "SET", "maxmemory", "3500000")
        let other = ULID(high: 8, low: 8)
        events.submit(StoreBatch(other), "first", to: store)
        try await events.wait(for: "first failed")
        #expect(!store.acceptsWork)
        #expect(reason(health)?.contains("out of memory") == true)
        #expect(log.lines.contains { $0.hasPrefix("commits to the store fail; retrying cause=memory") })
        events.submit(StoreBatch(other, .history, 1), "second", to: store)
        try await events.wait(for: "second failed")
        // A report isn't worth an outage.
        store.keep(SessionReport(id: ULID(high: 1, low: 1), startedAt: 1, lastMessageAt: 2))
        var end = StoreBatch()
        end.end(id, tokens: [])
        events.submit(end, "end", to: store)
        try await events.wait(for: "end committed")
        #expect(events.names.value.filter { $0.hasSuffix("committed") } == ["first committed", "second committed", "end committed"])
        #expect(events.names.value.filter { $0 == "first failed" }.count == 1)
        try await waitForRecovery(store, health)
        #expect(log.linesWithLevel.contains { $0.hasPrefix("notice commits to the store succeed again") })
        #expect(try await redis.fields(other) == 5)
        #expect(store.metrics.map { $0.errors > 0 && $0.commitTime.count > 0 && $0.bytes > 0 } == true)
        await store.close()
    }

    @Test func `while the server is a replica, work is rejected; afterwards nothing is missing`() async throws {
        let redis = try await RedisStoreHarness()
        let (health, log, events) = (HealthRegistry(), LogRecorder(), StoreEvents())
        let store = try await redis.open(health: health, log: log)
        await store.commit(StoreBatch(id, .history, 0))
        // The master doesn't exist, so the data remains.
        try await redis.server.cli("REPLICAOF", "127.0.0.1", "1")
        events.submit(StoreBatch(id, .history, 1), "second", to: store)
        try await events.wait(for: "second failed")
        #expect(!store.acceptsWork)
        try await eventually { reason(health)?.contains("replica") == true }
        #expect(log.lines.contains { $0.contains("cause=read_only") })
        try await redis.server.cli("REPLICAOF", "NO", "ONE")
        try await events.wait(for: "second committed")
        try await waitForRecovery(store, health)
        #expect(try await redis.fields(id) == 5)
        await store.close()
    }

    @Test func `a key of another type costs its session and nothing else`() async throws {
        let redis = try await RedisStoreHarness()
        let (health, log, events) = (HealthRegistry(), LogRecorder(), StoreEvents())
        let store = try await redis.open(health: health, log: log)
        events.watchLosses(of: store)
        try await redis.server.cli("SET", "parley:{s:\(id)}", "foreign")
        var batch = StoreBatch(id)
        batch.add(ULID(high: 8, low: 8))
        events.submit(batch, "both", to: store)
        try await events.wait(for: "both committed")
        #expect(events.names.value == ["7 gone", "both committed"])
        #expect(try await redis.server.cli("GET", "parley:{s:\(id)}") == "foreign")
        #expect(try await redis.fields(ULID(high: 8, low: 8)) == 4)
        #expect(
            log.linesWithLevel.contains {
                $0.hasPrefix("error a key of the store has another type; its changes are dropped key=parley:{s:")
            })
        #expect(store.acceptsWork && reason(health) == nil)
        await store.close()
    }

    @Test func `scripts that the server forgot are loaded again`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        await store.commit(StoreBatch(id))
        try await redis.server.cli("SCRIPT", "FLUSH")
        for number in 1...5 as ClosedRange<UInt64> { store.submit(StoreBatch(id, .history, number)) {} }
        try await store.purge()
        #expect(try await redis.fields(id) == 9)
        await store.close()
    }

    @Test func `a slow server delays commits; one that doesn't reply makes them fail until it does`() async throws {
        let redis = try await RedisStoreHarness()
        let (health, events) = (HealthRegistry(), StoreEvents())
        let store = try await redis.open(health: health)
        try await redis.server.cli("CLIENT", "PAUSE", "100", "ALL")
        events.submit(StoreBatch(id, .history, 0), "slow", to: store)
        try await events.wait(for: "slow committed")
        #expect(events.names.value == ["slow committed"])
        redis.server.suspend()
        events.submit(StoreBatch(id, .history, 1), "stuck", to: store)
        try await events.wait(for: "stuck failed")
        #expect(!store.acceptsWork && reason(health) != nil)
        redis.server.resume()
        try await events.wait(for: "stuck committed")
        try await waitForRecovery(store, health)
        #expect(try await redis.fields(id) == 5)
        await store.close()
    }

    @Test func `a wrong password prevents the start, and causes an outage later`() async throws {
        let redis = try await RedisStoreHarness(["--requirepass", "hunter2"])
        await #expect {
            _ = try await redis.open { $0.redis.password = RedisPassword("wrong") }
        } throws: { error in
            let error = error as? StoreError
            return error?.isTemporary == false && error?.problem.contains("password") == true && error?.problem.contains("hunter2") == false
        }
        let (health, log) = (HealthRegistry(), LogRecorder())
        let store = try await redis.open(health: health, log: log) { $0.redis.password = RedisPassword("hunter2") }
        await store.commit(StoreBatch(id))
        let options = ["-p", "\(redis.server.port)", "-a", "hunter2", "--no-auth-warning"]
        _ = try await RedisServer.cli(options + ["CONFIG", "SET", "requirepass", "changed"], directory: "/tmp")
        let changed = ["-p", "\(redis.server.port)", "-a", "changed", "--no-auth-warning"]
        _ = try await RedisServer.cli(changed + ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"], directory: "/tmp")
        try await eventually { !store.acceptsWork && reason(health)?.contains("password") == true }
        #expect(log.lines.contains { $0.contains("cause=authentication") })
        _ = try await RedisServer.cli(changed + ["CONFIG", "SET", "requirepass", "hunter2"], directory: "/tmp")
        try await waitForRecovery(store, health)
        await store.close()
    }

    @Test func `a server that can't be reached is a temporary problem of the start`() async throws {
        let redis = try await RedisStoreHarness()
        try await redis.server.kill()
        await #expect { _ = try await redis.open() } throws: { ($0 as? StoreError)?.isTemporary == true }
    }

    // MARK: Durability

    private func problem(_ redis: RedisStoreHarness, _ change: (inout RedisStoreSettings) -> Void) async -> StoreError? {
        do {
            await (try await redis.open(change)).close()
            return nil
        } catch {
            return error as? StoreError
        }
    }

    @Test func `disk is rejected unless the server syncs every write, and says what is missing`() async throws {
        let redis = try await RedisStoreHarness()
        let off = await problem(redis) { $0.acknowledge = .disk }
        #expect(off?.problem.contains("they are `no` and `everysec`") == true && off?.isTemporary == false)
        try await redis.server.cli("CONFIG", "SET", "appendonly", "yes")
        let everySecond = await problem(redis) { $0.acknowledge = .disk }
        #expect(everySecond?.problem.contains("they are `yes` and `everysec`") == true)
        try await redis.server.cli("CONFIG", "SET", "appendfsync", "always")
        #expect(await problem(redis) { $0.acknowledge = .disk } == nil)
        try await redis.server.cli("ACL", "SETUSER", "limited", "on", ">pw", "~*", "&*", "+@all", "-config")
        let forbidden = await problem(redis) { settings in
            settings.acknowledge = .disk
            (settings.redis.user, settings.redis.password) = ("limited", RedisPassword("pw"))
        }
        #expect(forbidden?.problem.contains("doesn't permit CONFIG GET") == true && forbidden?.isTemporary == false)
        #expect(
            await problem(redis) { settings in
                (settings.redis.user, settings.redis.password) = ("limited", RedisPassword("pw"))
            } == nil)
    }

    @Test func `replicas are required at the start, and acknowledgements wait for them later`() async throws {
        let redis = try await RedisStoreHarness()
        let missing = await problem(redis) { $0.acknowledge = .replicas }
        #expect(missing?.problem.contains("requires 1 connected replicas") == true)
        let replica = try await RedisServer(["--replicaof", "127.0.0.1", "\(redis.server.port)"])
        try await replica.waitForSync()
        let (health, events) = (HealthRegistry(), StoreEvents())
        let store = try await redis.open(health: health) { settings in
            settings.acknowledge = .replicas
            settings.acknowledgeTimeout = .milliseconds(100)
        }
        #expect(store.durability == .replicas)
        await store.commit(StoreBatch(id))
        replica.suspend()
        events.submit(StoreBatch(id, .history, 1), "second", to: store)
        try await events.wait(for: "second failed")
        #expect(reason(health)?.contains("0 of 1 replicas") == true)
        #expect(events.names.value == ["second failed"])
        replica.resume()
        try await events.wait(for: "second committed")
        try await waitForRecovery(store, health)
        await store.close()
    }

    @Test func `versions below 6·2 are rejected, and Valkey's version is its own`() {
        let settings = RedisStoreSettings(redis: RedisSettings(endpoints: []), name: "x", node: id)
        func problem(_ info: String) -> String? { RedisServerFacts(version: "7.0.0", info: info).problem(settings, isFirst: true)?.text }
        #expect(RedisServerFacts(version: "6.0.16", info: "").problem(settings, isFirst: true)?.text.contains("6.0.16") == true)
        #expect(RedisServerFacts(version: "6.1.9", info: "").problem(settings, isFirst: true) != nil)
        for version in ["6.2.0", "7.0.15", "10.0"] {
            #expect(RedisServerFacts(version: version, info: "").problem(settings, isFirst: true) == nil)
        }
        let facts = RedisServerFacts(
            version: "7.2.4", info: "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\nrun_id:abc\r\nconnected_slaves:2\r\n")
        #expect(facts.version == "8.0.1" && facts.runID == "abc" && facts.replicas == 2)
    }
}
