// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import Logging
import NIOCore
import NIOPosix
import Support
import Testing

@testable import GatewayCore
@testable import GatewayServer

/// A Redis server and stores on it, each with a node id of its own.
struct RedisStoreHarness {
    let server: RedisServer

    init(_ options: [String] = []) async throws { server = try await RedisServer(options) }

    /// Opens a store.
    ///
    /// - Parameter node: the high part of the node's id
    func open(
        node: UInt64 = 1, health: HealthRegistry = HealthRegistry(), log: LogRecorder = LogRecorder(),
        _ change: (inout RedisStoreSettings) -> Void = { _ in }
    ) async throws -> RedisStore {
        try await Self.open(RedisSettings(endpoints: [server.endpoint]), node: node, health: health, log: log, change)
    }

    static func open(
        _ redis: RedisSettings, node: UInt64 = 1, health: HealthRegistry = HealthRegistry(), log: LogRecorder = LogRecorder(),
        _ change: (inout RedisStoreSettings) -> Void = { _ in }
    ) async throws -> RedisStore {
        var redis = redis
        redis.commandTimeout = .milliseconds(500)
        var settings = RedisStoreSettings(redis: redis, name: "redis://\(redis.endpoints[0])", node: ULID(high: node, low: 1))
        change(&settings)
        return try await RedisStore.open(
            settings, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), health: health, logger: Logger(label: "test") { _ in log })
    }

    /// Returns the number of fields of a session's hash.
    func fields(_ id: ULID) async throws -> Int { Int(try await server.cli("HLEN", "parley:{s:\(id)}")) ?? -1 }
}

extension RedisStore {
    func commit(_ batch: StoreBatch) async {
        await withCheckedContinuation { continuation in submit(batch) { continuation.resume() } }
    }
}

/// Records the notifications of batches and lost sessions.
final class StoreEvents: Sendable {
    let names = AwaitableValue<[String]>([])

    func add(_ name: String) { names.change { $0.append(name) } }

    func watchLosses(of store: RedisStore) { store.setLossHandler { [self] id, loss in add("\(id.high) \(loss)") } }

    func submit(_ batch: StoreBatch, _ name: String, to store: RedisStore) {
        store.submit(batch, committed: { [self] in add("\(name) committed") }, failed: { [self] in add("\(name) failed") })
    }

    func wait(for name: String) async throws {
        let found: Bool? = await names.wait(timeout: .seconds(20)) { $0.contains(name) ? true : nil }
        guard found == true else { throw TestFailure("\(name) isn't in \(names.value)") }
    }
}

/// Waits until a condition holds.
func eventually(_ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("the condition didn't become true", sourceLocation: sourceLocation)
}

extension StoreBatch {
    /// A batch that puts one record of a session.
    init(_ id: ULID, _ kind: RecordKind = .state, _ number: UInt64 = 0, _ text: String = "x") {
        self.init()
        add(id, kind, number, text)
    }

    mutating func add(_ id: ULID, _ kind: RecordKind = .state, _ number: UInt64 = 0, _ text: String = "x") {
        put(id, kind, number) { $0 += text.utf8 }
    }
}
