// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayTLS
import Support
import Testing

/// Authentication by token, with the real executable.
@Suite(.bounded) struct AccessTests {
    private static let flags = [
        "auth.mode": "jwt", "auth.secret": TestToken.secret, "connections.per_user": "0", "auth.failures_per_minute": "0",
    ]

    private func gateway(_ more: [String: String] = [:]) async throws -> GatewayProcess {
        try await SharedGateways.withoutLimits(Self.flags.merging(more) { $1 })
    }

    private func bearer(_ token: String) -> (String, String) { ("Authorization", "Bearer \(token)") }

    private func connect(_ gateway: GatewayProcess, _ token: String, _ target: String = "/v1/ws", resume: JSON? = nil) async throws -> (
        TestWebSocket, JSON
    ) {
        var fields = [bearer(token)]
        if let resume { fields.append(("Parley-Resume", resume.string ?? "")) }
        let client = try await gateway.webSocket(.upgrade(target, adding: fields))
        return (client, try await client.message("session"))
    }

    private func rejection(_ gateway: GatewayProcess, _ fields: [(String, String)], _ target: String = "/v1/ws") async throws
        -> HTTPResponseText
    {
        try await gateway.response(to: .upgrade(target, adding: fields))
    }

    private func operations(_ gateway: GatewayProcess, _ method: String, _ target: String, _ body: String = "") async throws
        -> HTTPResponseText
    {
        var request = HTTPRequestText(target, method: method)
        request.body = body
        request.fields += [("Content-Type", "application/json"), ("Content-Length", "\(body.utf8.count)")]
        return try await gateway.operationsResponse(to: request)
    }

    // MARK: Upgrades

    @Test func `a request without a token gets 401 with WWW-Authenticate, and the next one with a token is accepted`() async throws {
        let gateway = try await gateway()
        let response = try await rejection(gateway, [])
        #expect(response.status == 401)
        #expect(response["www-authenticate"] == "Bearer")
        #expect(try JSON(response.body)["code"] == "unauthorized")
        let (_, session) = try await connect(gateway, TestToken.make("u1"))
        #expect(session["resumed"] == false)
    }

    @Test func `a token is accepted as a header, as a subprotocol entry, and in the query if that is on`() async throws {
        let token = try TestToken.make("u1")
        let gateway = try await gateway(["http.query_tokens": "true"])
        let subprotocol = try await gateway.webSocket(.upgrade(adding: [("Sec-WebSocket-Protocol", "parley.v1, bearer.\(token)")]))
        #expect(subprotocol.response["sec-websocket-protocol"] == "parley.v1")
        _ = try await subprotocol.message("session")
        let query = try await gateway.webSocket(.upgrade("/v1/ws?access_token=\(token)"))
        _ = try await query.message("session")
    }

    @Test func `rejected tokens get 401 and the log says why, without the token`() async throws {
        let gateway = try await gateway()
        let cases: [(String, String, String)] = [
            ("expired", try TestToken.make("u1", expiresIn: -31), "token_expired"),
            ("the signature is invalid", try TestToken.make("u1", secret: "another secret of at least 32 bytes"), "unauthorized"),
            ("alg is none", try TestToken.sign(header: #"{"alg":"none"}"#, claims: "{}"), "unauthorized"),
            ("three parts", "abc", "unauthorized"),
            ("exp is missing", try TestToken.make("u1") { $0["exp"] = nil }, "unauthorized"),
            ("unknown limit", try TestToken.make("u1", parley: ["limits": ["text_per_minit": 5]]), "unauthorized"),
        ]
        for (cause, token, code) in cases {
            let response = try await rejection(gateway, [bearer(token)])
            #expect(response.status == 401, "\(cause)")
            let body = try JSON(response.body)
            #expect(body["code"].string == code, "\(cause)")
            let line = try await gateway.line { $0["msg"] == "request rejected" && $0["correlation_id"] == body["correlation_id"] }
            #expect(line["reason"].string?.contains(cause) == true, "\(line)")
            #expect(!line.text.contains(token))
        }
    }

    @Test func `in-band rejections close with 4500, an expired token with 4501`() async throws {
        let gateway = try await gateway()
        let none = try await gateway.webSocket(.upgrade("/v1/ws?errors=inband"))
        try await none.expectFatalError("unauthorized", 4500)
        let expired = try await gateway.webSocket(
            .upgrade("/v1/ws?errors=inband", adding: [bearer(TestToken.make("u1", expiresIn: -31))]))
        try await expired.expectFatalError("token_expired", 4501)
    }

    // MARK: Resuming

    @Test func `a session resumes only with a token of the same user`() async throws {
        let gateway = try await gateway()
        let (client, session) = try await connect(gateway, TestToken.make("u1"))
        try await client.send(["type": "text", "id": "a", "text": "x"])
        _ = try await client.message("ack")
        await client.socket.reset()
        let (_, stranger) = try await connect(gateway, TestToken.make("u2"), resume: session["resume_token"])
        #expect(stranger["resumed"] == false && stranger["resume_error"] == "unknown" && stranger["session_id"] != session["session_id"])
        let (_, owner) = try await connect(gateway, TestToken.make("u1"), resume: session["resume_token"])
        #expect(owner["resumed"] == true && owner["session_id"] == session["session_id"])
    }

    @Test func `a hundred resumes with an expired token are rejected, and the session waits for a fresh one`() async throws {
        let gateway = try await gateway(["auth.failures_per_minute": "4"])
        let (client, session) = try await connect(gateway, TestToken.make("u1"))
        await client.socket.reset()
        let stale = try TestToken.make("u1", expiresIn: -31)
        for _ in 0..<100 {
            // A valid resume token exempts from the limit on rejected tokens of the address.
            let response = try await rejection(gateway, [bearer(stale), ("Parley-Resume", session["resume_token"].string ?? "")])
            #expect(response.status == 401)
        }
        let limited = try await rejection(gateway, [bearer(stale)])
        #expect(limited.status == 429)
        #expect(try JSON(limited.body)["code"] == "connection_limit")
        #expect(limited["retry-after"].flatMap { Int($0) } ?? 0 > 0)
        let (_, resumed) = try await connect(gateway, TestToken.make("u1"), resume: session["resume_token"])
        #expect(resumed["resumed"] == true)
    }

    // MARK: Expiry and renewal

    @Test func `a token that expires in mid-connection is announced, closes with 4501, and a fresh one resumes the session`() async throws {
        let gateway = try await gateway(["auth.leeway": "0"])
        let (client, session) = try await connect(gateway, TestToken.make("u1", expiresIn: 3))
        let notice = try await client.message("goaway")
        #expect(notice["reason"] == "token_expiring")
        #expect((1...3000).contains(notice["deadline_ms"].integer ?? 0))
        try await client.expectFatalError("token_expired", 4501)
        let (_, resumed) = try await connect(gateway, TestToken.make("u1"), resume: session["resume_token"])
        #expect(resumed["resumed"] == true)
    }

    @Test func `a renewal in mid-stream loses no chunk`() async throws {
        let gateway = try await gateway()
        let (client, _) = try await connect(gateway, TestToken.make("u1", expiresIn: 100))
        try await client.send(["type": "audio", "id": "a", "format": ["codec": "pcm16", "rate": 16000, "channels": 1]])
        let token = try TestToken.make("u1", expiresIn: 1000)
        for number in 1...20 {
            try await client.send(binary: Array(repeating: 0, count: 320))
            if number == 10 { try await client.send(["type": "auth", "token": .string(token)]) }
        }
        try await client.send(["type": "audio", "id": "a", "final": true])
        var chunks = 0
        var renewed = false
        while chunks < 20 {
            let message = try await client.message()
            if message["type"] == "ack" { chunks = message["chunks"].integer ?? 0 }
            if message["type"] == "auth" { renewed = (message["expires_at"].number ?? 0) > (Date().timeIntervalSince1970 + 900) * 1000 }
            #expect(message["type"] != "error")
        }
        #expect(renewed)
    }

    @Test func `a rejected renewal is an error, and the session goes on`() async throws {
        let gateway = try await gateway()
        let (client, _) = try await connect(gateway, TestToken.make("u1", expiresIn: 600))
        for (token, code) in [
            (try TestToken.make("u2", expiresIn: 900), "unauthorized"), (try TestToken.make("u1", expiresIn: 500), "unauthorized"),
            (try TestToken.make("u1", expiresIn: -31), "token_expired"), ("nonsense", "unauthorized"),
        ] {
            try await client.send(["type": "auth", "token": .string(token)])
            #expect(try await client.error(code)["fatal"] == false)
        }
        try await client.send(["type": "ping", "id": "p"])
        #expect(try await client.message("pong")["id"] == "p")
    }

    // MARK: Claims

    @Test func `claims decide on paths, types and limits`() async throws {
        let gateway = try await gateway(["limits.text_per_minute": "600"])
        let paths = try TestToken.make("u1", parley: ["paths": ["/v1/other"]])
        let forbidden = try await rejection(gateway, [bearer(paths)])
        #expect(forbidden.status == 403)
        #expect(try JSON(forbidden.body)["code"] == "forbidden")
        let claims: JSON = ["paths": ["/v1/ws"], "types": ["text"], "limits": ["text_per_minute": 4, "audio_per_minute": 5]]
        let (client, session) = try await connect(gateway, TestToken.make("u1", parley: claims), "/ws")
        #expect(session["limits"]["limits.text_per_minute"] == 4)
        try await client.send(["type": "audio", "id": "a", "format": ["codec": "pcm16", "rate": 16000, "channels": 1]])
        _ = try await client.error("forbidden")
        try await client.send(["type": "text", "id": "b", "text": "x"])
        _ = try await client.message("ack")
        try await client.send(["type": "text", "id": "c", "text": "x"])
        while true {
            let message = try await client.message()
            guard message["type"] == "error" else { continue }
            #expect(message["error"]["code"] == "rate_limited")
            break
        }
    }

    @Test func `a route that the claims don't allow is forbidden, and the upstream gets the claims`() async throws {
        let gateway = try await UpstreamGateway.shared(Self.flags)
        let claims: JSON = ["routes": ["websocket"], "meta": ["tenant": "acme"]]
        let (client, _) = try await connect(gateway, TestToken.make("u1", parley: claims))
        let id = UUID().uuidString
        try await client.send(["type": "text", "id": "a", "text": "x", "meta": ["to": "http"]])
        _ = try await client.message("ack")
        let refused = try await client.message("error")
        #expect(refused["error"]["code"] == "forbidden" && refused["done"] == true)
        try await client.send(["type": "text", "id": .string(id), "text": "x", "meta": ["to": "websocket", "tenant": "other"]])
        _ = try await client.message("ack")
        let request = try await UpstreamDouble.shared("websocket").event("request", id: id)
        #expect(request["claims"] == ["tenant": "acme"])
        #expect(request["user"] == "u1")
        #expect(request["meta"]["tenant"] == "other")
    }

    @Test func `issuer, audience, user claim, lifetime and factor are configurable`() async throws {
        let gateway = try await gateway([
            "auth.issuer": "https://id.example", "auth.audience": "parley", "auth.user_claim": "email", "auth.max_lifetime": "1h",
            "auth.claims_factor": "2", "limits.text_per_minute": "100",
        ])
        func token(_ change: (inout [String: JSON]) -> Void = { _ in }) throws -> String {
            try TestToken.make("ignored", parley: ["limits": ["text_per_minute": 1000]]) { claims in
                claims["iss"] = "https://id.example"
                claims["aud"] = ["other", "parley"]
                claims["email"] = "u1@example.com"
                change(&claims)
            }
        }
        let (_, session) = try await connect(gateway, token())
        // A claim raises a limit to at most twice its configured value.
        #expect(session["limits"]["limits.text_per_minute"] == 200)
        let changes: [(inout [String: JSON]) -> Void] = [
            { $0["iss"] = "https://id.example/" }, { $0["aud"] = "other" }, { $0["email"] = nil },
            { $0["exp"] = .number(($0["iat"]?.number ?? 0) + 3601) },
        ]
        for change in changes { #expect(try await rejection(gateway, [bearer(token(change))]).status == 401) }
    }

    // MARK: Users

    @Test func `a user's connection above the limit closes the oldest with 4504, whose session can be resumed`() async throws {
        let gateway = try await gateway(["connections.per_user": "2", "listen.loops": "2"])
        let user = "user-\(UUID())"
        let (first, session) = try await connect(gateway, TestToken.make(user))
        let (second, _) = try await connect(gateway, TestToken.make(user))
        let (third, _) = try await connect(gateway, TestToken.make(user))
        let error = try await first.expectFatalError("connection_limit", 4504)
        #expect(error["message"].string?.contains("connections.per_user") == true)
        let (_, resumed) = try await connect(gateway, TestToken.make(user), resume: session["resume_token"])
        #expect(resumed["resumed"] == true)
        try await second.expectFatalError("connection_limit", 4504)
        try await third.send(["type": "ping"])
        _ = try await third.message("pong")
    }

    @Test func `with when_full reject, a user's connection above the limit gets 429, but may take its own session over`() async throws {
        let gateway = try await gateway(["connections.per_user": "1", "connections.when_full": "reject"])
        let user = "user-\(UUID())"
        let (first, session) = try await connect(gateway, TestToken.make(user))
        let response = try await rejection(gateway, [bearer(TestToken.make(user))])
        #expect(response.status == 429)
        #expect(try JSON(response.body)["code"] == "connection_limit")
        let (_, resumed) = try await connect(gateway, TestToken.make(user), resume: session["resume_token"])
        #expect(resumed["resumed"] == true)
        try await first.expectClose(4503)
    }

    @Test func `a revocation closes connections with older tokens with 4500, and newer tokens are accepted`() async throws {
        let gateway = try await gateway()
        let user = "user-\(UUID())"
        let (client, _) = try await connect(gateway, TestToken.make(user, issuedAgo: 10))
        let before = Int64((Date().timeIntervalSince1970 - 5) * 1000)
        let response = try await operations(gateway, "POST", "/v1/users/\(user)/revoke", #"{"before":\#(before)}"#)
        #expect(response.status == 200)
        try await client.expectFatalError("unauthorized", 4500)
        #expect(try await rejection(gateway, [bearer(TestToken.make(user, issuedAgo: 10))]).status == 401)
        #expect(try await rejection(gateway, [bearer(TestToken.make(user, issuedAgo: nil))]).status == 401)
        _ = try await connect(gateway, TestToken.make(user))
        _ = try await connect(gateway, TestToken.make("another", issuedAgo: 10))
    }

    @Test func `a minted token with one use opens one session, which it can resume`() async throws {
        let gateway = try await gateway()
        let minted = try await operations(gateway, "POST", "/v1/tokens", #"{"user":"u1","expires_in":"60s","uses":1}"#)
        #expect(minted.status == 200)
        let token = try #require(try JSON(minted.body)["token"].string)
        let (client, session) = try await connect(gateway, token)
        await client.socket.reset()
        #expect(try await rejection(gateway, [bearer(token)]).status == 401)
        let (_, resumed) = try await connect(gateway, token, resume: session["resume_token"])
        #expect(resumed["resumed"] == true)
    }

    @Test func `reports and lists name the user`() async throws {
        let gateway = try await gateway()
        let user = "user-\(UUID())"
        let (_, session) = try await connect(gateway, TestToken.make(user))
        let details = try await operations(gateway, "GET", "/v1/sessions/\(session["session_id"].string ?? "")")
        #expect(try JSON(details.body)["session"]["user"].string == user)
    }
}
