// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Quotas of authenticated users, with the real executable.
@Suite(.bounded) struct QuotaTests {
    private static let flags = ["auth.mode": "jwt", "auth.secret": TestToken.secret, "connections.per_user": "0"]

    private func connect(_ gateway: GatewayProcess, _ token: String, resume: JSON? = nil) async throws -> (TestWebSocket, JSON) {
        var fields = [("Authorization", "Bearer \(token)")]
        if let resume { fields.append(("Parley-Resume", resume.string ?? "")) }
        let client = try await gateway.webSocket(.upgrade(adding: fields))
        return (client, try await client.message("session"))
    }

    /// Sends a text and returns the messages up to its last one.
    private func ask(_ client: TestWebSocket, _ id: String) async throws -> [JSON] {
        try await client.send(["type": "text", "id": .string(id), "text": "x", "stream": false])
        var received: [JSON] = []
        while true {
            let message = try await client.message()
            received.append(message)
            if message["done"] == true || message["type"] == "error" { return received }
        }
    }

    @Test func `a token's quota replaces the configured one, is announced, and rejects requests beyond it`() async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.flags.merging(["quotas.messages_per_day": "1"]) { $1 })
        let token = try TestToken.make("user-\(UUID())", parley: ["quotas": ["messages_per_day": 5]])
        let (client, session) = try await connect(gateway, token)
        #expect(session["limits"]["quotas.messages_per_day"] == 5)
        var notices: [JSON] = []
        for number in 1...5 { notices += try await ask(client, "m\(number)").filter { $0["state"] == "quota" } }
        #expect(notices.map { $0["used"].number } == [4, 5])
        for notice in notices {
            #expect(notice["quota"] == "messages_per_day" && notice["limit"] == 5 && notice["seq"] == .null)
            #expect((notice["resets_at"].number ?? 0) > Date().timeIntervalSince1970 * 1000)
        }
        let rejected = try await ask(client, "m6").last?["error"] ?? .null
        #expect(rejected["code"] == "quota_exceeded" && rejected["retryable"] == true && rejected["fatal"] == false)
        #expect((rejected["retry_after_ms"].number ?? 0) > 0)
        // The session lives, and another session of the user has nothing left either.
        try await client.send(["type": "status", "id": "s"])
        #expect(try await client.message("status")["limits"]["quotas.messages_per_day"] == 0)
        let (other, _) = try await connect(gateway, token)
        #expect(try await other.message("status")["state"] == "quota")
        #expect(try await ask(other, "m1").last?["error"]["code"] == "quota_exceeded")
        let (stranger, _) = try await connect(gateway, TestToken.make("user-\(UUID())"))
        #expect(try await ask(stranger, "m1").contains { $0["type"] == "text" })
        await client.socket.reset()
        let (resumed, _) = try await connect(gateway, token, resume: session["resume_token"])
        #expect(try await resumed.message("status")["used"] == 5)
    }

    @Test func `a SIGKILL loses no usage of acknowledged requests, no spent use of a token and no revocation`() async throws {
        let directory = try TemporaryDirectory()
        let flags = Self.flags.merging(["store.kind": "sqlite", "limits.text_per_minute": "0"]) { $1 }
        let user = "user-\(UUID())"
        let first = try await GatewayProcess(flags, directory: directory)
        var clients: [TestWebSocket] = []
        for _ in 0..<5 { clients.append(try await connect(first, TestToken.make(user)).0) }
        for (index, client) in clients.enumerated() {
            for number in 0..<10 { _ = try await ask(client, "m\(index)-\(number)") }
        }
        let once = try TestToken.make("once") { claims in
            claims["jti"] = .string(UUID().uuidString)
            claims["parley"] = ["uses": 1]
        }
        _ = try await connect(first, once)
        var revocation = HTTPRequestText("/v1/users/revoked/revoke", method: "POST")
        revocation.body = "{}"
        revocation.fields += [("Content-Type", "application/json"), ("Content-Length", "2")]
        #expect(try await first.operationsResponse(to: revocation).status == 200)
        // The commits of the last two have begun before this response, which waits for another one.
        _ = try await ask(clients[0], "last")
        first.signal(SIGKILL)
        _ = try await first.exit()
        let second = try await GatewayProcess(flags, directory: directory)
        let report = try await second.operationsResponse(to: HTTPRequestText("/v1/usage?user=\(user)")).json()
        #expect(report["usage"].array?.first?["messages"] == 51)
        for token in [once, try TestToken.make("revoked", issuedAgo: 5)] {
            let response = try await second.response(to: .upgrade(adding: [("Authorization", "Bearer \(token)")]))
            #expect(response.status == 401)
        }
        try await second.stop()
    }
}
