// SPDX-License-Identifier: Apache-2.0

import GatewayTLS
import Support
import Testing

/// The keys of the shared store, with the real executable.
@Suite(.bounded) struct SharedStoreTests {
    private func durability(_ flags: [String: String]) async throws -> String? {
        let gateway = try await GatewayProcess(["environment": "development", "store.kind": "redis"].merging(flags) { $1 })
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        try await client.send(["type": "text", "id": "m1", "text": "x", "stream": false])
        _ = try await client.message("ack")
        #expect(try await client.message("text")["seq"].integer == 1)
        return session["durability"].string
    }

    @Test func `a user with a password writes below the prefix, and an ack waits for the disk`() async throws {
        let redis = try await RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        try await redis.cli("ACL", "SETUSER", "gateway", "on", ">a password", "~team:*", "+@all")
        try await redis.cli("ACL", "SETUSER", "default", "-@all", "+acl", "+auth", "+keys", "allkeys")
        let directory = try TemporaryDirectory()
        let flags = [
            "store.urls": "redis://127.0.0.1:\(redis.port)", "store.prefix": "team:", "store.user": "gateway",
            "store.password_file": try directory.write("a password\n", to: "password"), "store.acknowledge": "disk",
        ]
        #expect(try await durability(flags) == "disk")
        let keys = try await redis.cli("KEYS", "*").split(separator: "\n")
        #expect(!keys.isEmpty && keys.allSatisfy { $0.hasPrefix("team:") }, "\(keys)")
    }

    @Test func `an ack waits for a replica`() async throws {
        let master = try await RedisServer()
        let replica = try await RedisServer(["--replicaof", "127.0.0.1 \(master.port)"])
        try await replica.waitForSync()
        let flags = [
            "store.urls": "redis://127.0.0.1:\(master.port)", "store.acknowledge": "replicas", "store.replicas": "1",
            "store.acknowledge_timeout": "2s",
        ]
        #expect(try await durability(flags) == "replicas")
        replica.suspend()
        let gateway = try await GatewayProcess(
            ["environment": "development", "store.kind": "redis"].merging(flags) { $1 })
        await #expect(throws: (any Error).self) { try await gateway.webSocket().message("session") }
        replica.resume()
    }

    @Test func `the server's certificate is verified, and it can require one of the gateway`() async throws {
        let certificates = try TestCertificates()
        let root = try certificates.make(.init(["root"], isAuthority: true), file: "root")
        let server = try certificates.make(.init(["127.0.0.1"]), file: "server", issuer: root)
        let client = try certificates.make(.init(["gateway"]), file: "client", issuer: root)
        let redis = try await RedisServer(
            ["--tls-auth-clients", "yes", "--tls-ca-cert-file", root.files.certificate], security: .init(server.files))
        let flags = [
            "store.urls": "rediss://127.0.0.1:\(redis.port)", "store.tls.ca": root.files.certificate,
            "store.tls.certificate": "\(client.files.certificate):\(client.files.key)",
        ]
        #expect(try await durability(flags) == "memory")
        for missing in ["store.tls.ca", "store.tls.certificate"] {
            let arguments = GatewayProcess.arguments(
                ["environment": "development", "store.kind": "redis"].merging(flags.filter { $0.key != missing }) { $1 })
            let result = try await GatewayProcess.run(["serve"] + arguments, directory: try TemporaryDirectory())
            #expect(result.status == 75 || result.status == 78, "\(missing): \(result.status)")
        }
    }
}
