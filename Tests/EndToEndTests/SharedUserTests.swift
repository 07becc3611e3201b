// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Users over gateways that share a store: connections, tokens, revocations, quotas and limits.
@Suite(.bounded) struct SharedUserTests {
    private struct Nodes {
        let redis: RedisServer
        let a: GatewayProcess
        let b: GatewayProcess
        let flags: [String: String]

        init(_ more: [String: String] = [:]) async throws {
            redis = try await RedisServer()
            flags = [
                "environment": "development", "store.kind": "redis", "store.urls": "redis://127.0.0.1:\(redis.port)",
                "cluster.listen": "127.0.0.1:0", "cluster.secret": "a secret of sixteen bytes", "cluster.lease": "1s",
                "limits.text_per_minute": "0", "connections.per_address": "0", "auth.mode": "jwt", "auth.secret": TestToken.secret,
                "connections.per_user": "0", "auth.failures_per_minute": "0",
            ].merging(more) { $1 }
            a = try await GatewayProcess(flags.merging(["cluster.node": "a"]) { $1 })
            b = try await GatewayProcess(flags.merging(["cluster.node": "b"]) { $1 })
        }
    }

    private func bearer(_ token: String) -> (String, String) { ("Authorization", "Bearer \(token)") }

    private func connect(_ gateway: GatewayProcess, _ token: String, resume: JSON? = nil) async throws -> (TestWebSocket, JSON) {
        var fields = [bearer(token)]
        if let resume { fields.append(("Parley-Resume", resume.string ?? "")) }
        let client = try await gateway.webSocket(.upgrade(adding: fields))
        return (client, try await client.message("session"))
    }

    private func rejection(_ gateway: GatewayProcess, _ token: String) async throws -> HTTPResponseText {
        try await gateway.response(to: .upgrade(adding: [bearer(token)]))
    }

    private func operations(_ gateway: GatewayProcess, _ target: String, _ body: String) async throws -> JSON {
        var request = HTTPRequestText(target, method: "POST")
        request.body = body
        request.fields += [("Content-Type", "application/json"), ("Content-Length", "\(body.utf8.count)")]
        let response = try await gateway.operationsResponse(to: request)
        #expect(response.status == 200)
        return try JSON(response.body)
    }

    /// Sends a text and returns the last message of its response, or its error.
    private func ask(_ client: TestWebSocket, _ id: String) async throws -> JSON {
        try await client.send(["type": "text", "id": .string(id), "text": "x", "stream": false])
        while true {
            let message = try await client.message()
            if message["reply_to"] == .string(id), message["done"] == true { return message }
            if message["error"]["reply_to"] == .string(id) { return message }
        }
    }

    @Test func `a connection above the limit closes the user's oldest one on another node, whose session can be resumed`() async throws {
        let nodes = try await Nodes(["connections.per_user": "2"])
        let (first, session) = try await connect(nodes.a, TestToken.make("u"))
        let (second, other) = try await connect(nodes.b, TestToken.make("u"))
        let (third, _) = try await connect(nodes.b, TestToken.make("u"))
        try await first.expectFatalError("connection_limit", 4504)
        let (fourth, resumed) = try await connect(nodes.b, TestToken.make("u"), resume: session["resume_token"])
        #expect(resumed["resumed"] == true && resumed["session_id"] == session["session_id"])
        try await second.expectFatalError("connection_limit", 4504)
        // A client that takes its own session over evicts nobody.
        let (fifth, again) = try await connect(nodes.a, TestToken.make("u"), resume: resumed["resume_token"])
        #expect(again["resumed"] == true)
        try await fourth.expectClose(4503)
        for client in [third, fifth] { #expect(try await ask(client, "m1")["type"] == "text") }
        #expect(other["session_id"] != session["session_id"])
    }

    @Test func `with when_full reject, connections on all nodes count, also those of a killed node until its lease has ended`() async throws
    {
        let nodes = try await Nodes(["connections.per_user": "1", "connections.when_full": "reject"])
        let (first, session) = try await connect(nodes.a, TestToken.make("u"))
        #expect(try await rejection(nodes.b, TestToken.make("u")).status == 429)
        _ = try await connect(nodes.b, TestToken.make("another"))
        await first.socket.reset()
        // The close is recorded after it.
        let (second, _) = try await connectWhenAdmitted(nodes.b, TestToken.make("u"))
        #expect(try await ask(second, "m1")["type"] == "text")
        nodes.b.signal(9)
        let (_, resumed) = try await connectWhenAdmitted(nodes.a, TestToken.make("u"), resume: session["resume_token"])
        #expect(resumed["resumed"] == true)
    }

    /// Connects again until the user's other connections don't count any more, and returns the `session` message.
    private func connectWhenAdmitted(
        _ gateway: GatewayProcess, _ token: String, resume: JSON? = nil
    ) async throws -> (TestWebSocket, JSON) {
        var fields = [bearer(token)]
        if let resume { fields.append(("Parley-Resume", resume.string ?? "")) }
        while true {
            let client = try await gateway.webSocket(.upgrade("/v1/ws?errors=inband", adding: fields))
            let message = try await client.message()
            if message["type"] == "session" { return (client, message) }
            #expect(message["error"]["code"] == "connection_limit")
        }
    }

    @Test func `a token with one use opens one session on any node, and a token that one node minted is accepted by all`() async throws {
        // Without a secret, tokens are signed with a key that the store keeps.
        let nodes = try await Nodes(["auth.secret": ""])
        let token = try #require(try await operations(nodes.a, "/v1/tokens", #"{"user":"u","expires_in":"60s","uses":1}"#)["token"].string)
        let (first, session) = try await connect(nodes.b, token)
        #expect(try await rejection(nodes.a, token).status == 401)
        #expect(try await rejection(nodes.b, token).status == 401)
        let (_, resumed) = try await connect(nodes.a, token, resume: session["resume_token"])
        #expect(resumed["resumed"] == true)
        try await first.expectClose(4503)
        let restarted = try await GatewayProcess(nodes.flags.merging(["cluster.node": "c"]) { $1 })
        let reusable = try #require(try await operations(nodes.b, "/v1/tokens", #"{"user":"u","expires_in":"60s"}"#)["token"].string)
        _ = try await connect(restarted, reusable)
    }

    @Test func `a revocation closes connections on all nodes with 4500, and its tokens are refused everywhere`() async throws {
        let nodes = try await Nodes()
        let (first, _) = try await connect(nodes.a, TestToken.make("u", issuedAgo: 10))
        let (second, _) = try await connect(nodes.b, TestToken.make("u", issuedAgo: 10))
        let before = Int64((Date().timeIntervalSince1970 - 5) * 1000)
        let reply = try await operations(nodes.a, "/v1/users/u/revoke", #"{"before":\#(before)}"#)
        #expect(reply["connections_closed"] == 2)
        for client in [first, second] { try await client.expectFatalError("unauthorized", 4500) }
        for node in [nodes.a, nodes.b] {
            #expect(try await rejection(node, TestToken.make("u", issuedAgo: 10)).status == 401)
            _ = try await connect(node, TestToken.make("u"))
        }
        let joined = try await GatewayProcess(nodes.flags.merging(["cluster.node": "c"]) { $1 })
        #expect(try await rejection(joined, TestToken.make("u", issuedAgo: 10)).status == 401)
    }

    @Test func `a quota covers the requests of a user on all nodes`() async throws {
        let nodes = try await Nodes(["quotas.messages_per_day": "5"])
        let (first, session) = try await connect(nodes.a, TestToken.make("u"))
        let (second, _) = try await connect(nodes.b, TestToken.make("u"))
        for number in 1...2 { #expect(try await ask(first, "a\(number)")["type"] == "text") }
        #expect(try await ask(second, "b1")["type"] == "text")
        // The reply to the commit of its first request tells the second node about the first one's requests.
        for number in 2...3 { #expect(try await ask(second, "b\(number)")["type"] == "text") }
        #expect(try await ask(second, "b4")["error"]["code"] == "quota_exceeded")
        let (moved, resumed) = try await connect(nodes.b, TestToken.make("u"), resume: session["resume_token"])
        #expect(resumed["resumed"] == true)
        #expect(try await ask(moved, "a3")["error"]["code"] == "quota_exceeded")
    }

    @Test func `the limit of messages per second applies, and later messages are accepted again`() async throws {
        let nodes = try await Nodes(["limits.global_per_second": "1"])
        let (client, _) = try await connect(nodes.a, TestToken.make("u"))
        var outcomes: Set<String> = []
        var number = 0
        while outcomes.count < 2 {
            number += 1
            let last = try await ask(client, "m\(number)")
            outcomes.insert(last["type"] == "text" ? "accepted" : last["error"]["code"].string ?? "")
            if let wait = last["error"]["retry_after_ms"].integer { #expect((1...1100).contains(wait)) }
        }
        #expect(outcomes == ["accepted", "rate_limited"])
    }
}
