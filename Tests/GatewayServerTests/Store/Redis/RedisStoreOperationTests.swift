// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

@testable import GatewayCore
@testable import GatewayServer

/// Owners of sessions, sessions of users, and idempotency keys in the shared store.
@Suite struct RedisStoreOperationTests {
    private let id = ULID(high: 10, low: 1)
    private let other = ULID(high: 11, low: 1)

    private func batch(_ id: ULID, of user: String) -> StoreBatch {
        var batch = StoreBatch(id)
        batch.setUser(user, of: id)
        return batch
    }

    @Test func `the sessions of a user are found with their owners, until they end`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        await first.commit(batch(id, of: "ann} b"))
        await second.commit(batch(other, of: "ann} b"))
        await second.commit(batch(ULID(high: 12, low: 1), of: "bob"))
        let found = try await first.sessions(ofUser: "ann} b").sorted { $0.id < $1.id }
        #expect(found == [.init(id: id, owner: first.node), .init(id: other, owner: second.node)])
        #expect(try await second.locate(id) == .session(id, owner: first.node, epoch: 1))
        #expect(try await first.sessions(ofUser: "nobody").isEmpty)
        #expect(Int(try await redis.server.cli("PTTL", "parley:{us:ann} b}")) ?? 0 > 0)

        var end = StoreBatch()
        end.end(id, tokens: [])
        await first.commit(end)
        #expect(try await redis.server.cli("SCARD", "parley:{us:ann} b}") == "1")
        #expect(try await first.locate(id) == .unknown)
        await first.close()
        await second.close()
    }

    @Test func `a session that isn't stored any more is removed from the index when it is read`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        await first.commit(batch(id, of: "ann"))
        await first.commit(batch(other, of: "ann"))
        try await redis.server.cli("DEL", "parley:{s:\(other)}")
        #expect(try await second.sessions(ofUser: "ann") == [.init(id: id, owner: first.node)])
        try await eventually { try await redis.server.cli("SMEMBERS", "parley:{us:ann}") == "\(id)" }
        await first.close()
        await second.close()
    }

    @Test func `a key begins once over all nodes, is pending until its answer, and belongs to one request`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        let (key, digest): ([UInt8], [UInt8]) = (Array(0..<32), [0, 255, 10])
        #expect(try await first.beginRequest(key, digest: digest) == .begun)
        // The same node may have lost the reply.
        #expect(try await first.beginRequest(key, digest: digest) == .begun)
        #expect(try await second.beginRequest(key, digest: digest) == .pending(node: first.node))
        #expect(try await second.beginRequest(key, digest: [1]) == .conflict)
        try await first.endRequest(key, digest: digest, answer: [0, 13, 10, 255])
        for store in [first, second] {
            #expect(try await store.beginRequest(key, digest: digest) == .answered([0, 13, 10, 255]))
            #expect(try await store.beginRequest(key, digest: [1]) == .conflict)
        }
        let keys = try await redis.server.cli("KEYS", "parley:{i:*")
        #expect((86_000_000...86_400_000).contains(Int(try await redis.server.cli("PTTL", keys)) ?? 0))
        // A request without effect is forgotten.
        #expect(try await second.beginRequest([7], digest: digest) == .begun)
        try await second.endRequest([7], digest: digest, answer: nil)
        #expect(try await first.beginRequest([7], digest: [1]) == .begun)
        await first.close()
        await second.close()
    }
}
