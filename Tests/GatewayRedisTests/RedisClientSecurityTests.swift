// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import GatewayTLS
import NIOCore
import Support
import Testing

@Suite("Authentication and TLS of Redis", .bounded) struct RedisClientSecurityTests {
    @Test func `the right password is accepted`() async throws {
        let server = try await RedisServer(["--requirepass", "correct horse"])
        let client = ConnectedClient(server) { $0.password = RedisPassword("correct horse") }
        #expect(try await client.send("PING").text == "PONG")
    }

    @Test(arguments: [nil, "battery staple"] as [String?])
    func `a wrong or missing password is the reason of the state`(password: String?) async throws {
        let server = try await RedisServer(["--requirepass", "correct horse"])
        let client = ConnectedClient(server) { $0.password = password.map { RedisPassword($0) } }
        let reason = try await client.waitUntilDisconnected()
        let expected = password == nil ? "the server requires a password (NOAUTH)" : "wrong user or password (WRONGPASS)"
        #expect(reason == "\(server.endpoint): \(expected)")
        let failure = await #expect(throws: RedisFailure.self) { try await client.send("GET", "k") }
        #expect(failure == .unavailable(reason))
        // The client doesn't give up, because the password of the server may be changed.
        try await server.cli("-a", "correct horse", "CONFIG", "SET", "requirepass", password ?? "")
        try await client.waitUntilConnected()
    }

    @Test func `a user has the permissions of the server's access list`() async throws {
        let server = try await RedisServer()
        try await server.cli("ACL", "SETUSER", "parley", "on", ">secret", "~parley:*", "+@all", "-@dangerous")
        let client = ConnectedClient(server) {
            $0.user = "parley"
            $0.password = RedisPassword("secret")
        }
        #expect(try await client.send("SET", "parley:k", "v").text == "OK")
        let key = await #expect(throws: RedisFailure.self) { try await client.send("SET", "other", "v") }
        #expect(key?.error?.code == "NOPERM" && key?.error?.isAuthorization == true)
        let command = await #expect(throws: RedisFailure.self) { try await client.client.send(RedisCommand("FLUSHALL")) }
        #expect(command?.error?.code == "NOPERM")
    }

    @Test func `the database is selected on each connection`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server) { $0.database = 3 }
        _ = try await client.send("SET", "k", "v")
        #expect(try await server.cli("-n", "3", "GET", "k") == "v")
        #expect(try await server.cli("GET", "k") == "")
        let wrong = ConnectedClient(server) { $0.database = 16 }
        #expect(try await wrong.waitUntilDisconnected() == "\(server.endpoint): ERR DB index is out of range")
    }

    // MARK: TLS

    private struct Authority {
        let certificates: TestCertificates
        let server: RedisServer
        let trust: String

        init(_ names: [String] = ["127.0.0.1", "localhost"]) async throws {
            certificates = try TestCertificates()
            let root = try certificates.make(.init(["root"], isAuthority: true), file: "root")
            let leaf = try certificates.make(.init(names), file: "server", issuer: root)
            trust = root.files.certificate
            server = try await RedisServer(security: .init(leaf.files))
        }
    }

    @Test func `a server with a trusted certificate is used`() async throws {
        let authority = try await Authority()
        let client = ConnectedClient(authority.server) { $0.tls = RedisTLS(verification: .authority(path: authority.trust)) }
        let value = String(repeating: "x", count: 300_000)
        #expect(try await client.send("SET", "k", value).text == "OK")
        #expect(try await client.send("GET", "k").text == value)
        let results = try await client.sendAll((0..<500).map { _ in ConnectedClient.command("INCR", "n") })
        #expect(results.map { $0.reply?.number } == (1...500).map { $0 })
    }

    @Test func `an untrusted certificate is the reason of the state`() async throws {
        let authority = try await Authority()
        let other = try TestCertificates()
        let trust = try other.make(.init(["other root"], isAuthority: true), file: "other").files.certificate
        let client = ConnectedClient(authority.server) { $0.tls = RedisTLS(verification: .authority(path: trust)) }
        let reason = try await client.waitUntilDisconnected()
        #expect(reason.contains("certificate verify failed"), "\(reason)")
    }

    @Test func `a certificate for another name is rejected unless the settings have that name`() async throws {
        let authority = try await Authority(["redis.example"])
        let client = ConnectedClient(authority.server) { $0.tls = RedisTLS(verification: .authority(path: authority.trust)) }
        #expect(try await client.waitUntilDisconnected().contains("certificate verify failed"))
        let named = ConnectedClient(authority.server) {
            $0.tls = RedisTLS(verification: .authority(path: authority.trust), serverName: "redis.example")
        }
        try await named.waitUntilConnected()
    }

    @Test func `plaintext for a TLS port, and TLS for a plaintext port, fail`() async throws {
        let authority = try await Authority()
        let plain = ConnectedClient(authority.server)
        _ = try await plain.waitUntilDisconnected()
        let server = try await RedisServer()
        let secure = ConnectedClient(server) {
            $0.tls = RedisTLS(verification: .authority(path: authority.trust))
            $0.connectTimeout = .milliseconds(300)
        }
        _ = try await secure.waitUntilDisconnected()
        #expect(secure.states.value.contains(.connected) == false)
    }

    @Test func `a missing file is the reason of the state`() async throws {
        let server = try await RedisServer()
        let client = ConnectedClient(server) { $0.tls = RedisTLS(verification: .authority(path: "/nonexistent/ca.pem")) }
        #expect(try await client.waitUntilDisconnected().contains("/nonexistent/ca.pem"))
    }
}
