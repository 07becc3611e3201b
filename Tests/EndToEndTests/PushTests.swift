// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Pushes and supervision over the operations listener, with the real executable and clients over TLS.
@Suite(.bounded) struct PushTests {
    private func post(
        _ gateway: GatewayProcess, _ target: String, _ body: JSON? = nil, key: String? = nil
    ) async throws -> (status: Int, body: JSON) {
        var request = HTTPRequestText(target, method: "POST")
        request.body = body?.text ?? ""
        request.fields += [("Content-Type", "application/json"), ("Content-Length", "\(request.body.utf8.count)")]
        if let key { request.fields.append(("Idempotency-Key", key)) }
        let response = try await gateway.operationsResponse(to: request)
        return (response.status, try JSON(response.body))
    }

    private func undelivered(_ gateway: GatewayProcess) async throws -> [JSON] {
        try JSON(try await gateway.operationsResponse(to: HTTPRequestText("/v1/undelivered")).body)["undelivered"].array ?? []
    }

    private func connect(
        _ gateway: GatewayProcess, user: String? = nil, resume: JSON? = nil, after last: Int? = nil
    ) async throws -> (client: TestWebSocket, session: JSON) {
        var fields: [(String, String)] = []
        if let user { fields.append(("Authorization", "Bearer \(try TestToken.make(user))")) }
        if let resume { fields.append(("Parley-Resume", resume["resume_token"].string ?? "")) }
        let client = try await gateway.webSocket(.upgrade("/v1/ws" + (last.map { "?last_seq=\($0)" } ?? ""), adding: fields))
        return (client, try await client.message("session"))
    }

    private func detach(_ client: TestWebSocket, _ gateway: GatewayProcess, _ id: String) async throws {
        await client.socket.reset()
        _ = try await gateway.line { $0["msg"] == "session detached" && $0["session_id"].string == id }
    }

    private static let jwt = ["auth.mode": "jwt", "auth.secret": TestToken.secret]

    @Test func `a push reaches a live session, and a detached one when it is resumed`() async throws {
        let gateway = try await GatewayProcess(["listen.loops": "2"])
        let (client, session) = try await connect(gateway)
        let id = session["session_id"].string ?? ""
        let pushed = try await post(gateway, "/v1/sessions/\(id)/messages", ["type": "text", "text": "hello"])
        #expect(pushed.status == 202 && pushed.body["undelivered"] == 0)
        #expect(pushed.body["sessions"] == [["session_id": .string(id), "seq": 1]])
        let message = try await client.message("text")
        #expect(message["push"] == ["id": pushed.body["id"]] && message["text"] == "hello" && message["seq"] == 1)
        #expect(message["reply_to"] == .null)
        try await client.send(["type": "ack", "seq": 1])
        try await client.expectServed()

        try await detach(client, gateway, id)
        let later = try await post(gateway, "/v1/sessions/\(id)/messages", ["type": "status", "state": "shipped", "progress": 1])
        #expect(later.body["sessions"][0]["seq"] == 2)
        let (resumed, again) = try await connect(gateway, resume: session, after: 1)
        #expect(again["resumed"] == true && again["lost"] == false)
        let status = try await resumed.message("status")
        #expect(status["state"] == "shipped" && status["push"] == ["id": later.body["id"]] && status["seq"] == 2)
        try await gateway.stop()
    }

    @Test func `pushed audio arrives as opening, frames and end`() async throws {
        let gateway = try await GatewayProcess()
        let (client, session) = try await connect(gateway)
        let recording = [UInt8](repeating: 0xFF, count: 20_000)
        let pushed = try await post(
            gateway, "/v1/sessions/\(session["session_id"].string ?? "")/messages",
            [
                "type": "audio", "format": ["codec": "mulaw", "rate": 8000],
                "data": .string(Data(recording).base64EncodedString()), "final": true,
            ])
        #expect(pushed.body["sessions"][0]["seq"] == 4)
        #expect(try await client.message("audio")["format"]["codec"] == "mulaw")
        #expect(try await client.binary() + client.binary() == recording)
        let end = try await client.message("audio")
        #expect(end["final"] == true && end["seq"] == 4 && end["push"] == ["id": pushed.body["id"]])
        try await gateway.stop()
    }

    @Test func `a push to a user reaches all sessions of the user; without one it is undelivered and retried once`() async throws {
        let gateway = try await GatewayProcess(Self.jwt.merging(["listen.loops": "2"]) { $1 })
        let devices = [try await connect(gateway, user: "ada"), try await connect(gateway, user: "ada")]
        let other = try await connect(gateway, user: "bob")
        let pushed = try await post(gateway, "/v1/users/ada/messages", ["type": "text", "text": "for ada"])
        #expect(pushed.body["sessions"].array?.count == 2 && pushed.body["undelivered"] == 0)
        for (client, _) in devices { #expect(try await client.message("text")["text"] == "for ada") }
        try await other.client.expectServed()

        let missed = try await post(gateway, "/v1/users/eve/messages", ["type": "text", "text": "for eve"])
        #expect(missed.status == 202 && missed.body["sessions"] == .array([]) && missed.body["undelivered"] == 1)
        let entry = try #require(try await undelivered(gateway).first)
        #expect(entry["reason"] == "no_session" && entry["user"] == "eve" && entry["message"]["text"] == "for eve")

        let eve = try await connect(gateway, user: "eve")
        let retried = try await post(gateway, "/v1/undelivered/retry", ["ids": [entry["id"]]])
        #expect(retried.status == 202 && retried.body["retried"][0]["push"]["sessions"].array?.count == 1)
        let message = try await eve.client.message("text")
        #expect(message["text"] == "for eve" && message["push"] == entry["push"])
        #expect(try await undelivered(gateway).isEmpty)
        #expect(try await post(gateway, "/v1/undelivered/retry", ["ids": [entry["id"]]]).body["unknown"] == [entry["id"]])
        try await gateway.stop()
    }

    @Test func `a failed retry is gone`() async throws {
        let gateway = try await GatewayProcess(Self.jwt)
        _ = try await post(gateway, "/v1/users/eve/messages", ["type": "text", "text": "a"])
        let entry = try #require(try await undelivered(gateway).first)
        let retried = try await post(gateway, "/v1/undelivered/retry", ["ids": [entry["id"]]])
        #expect(retried.body["retried"][0]["push"]["undelivered"] == 1)
        #expect(try await undelivered(gateway).isEmpty)
        try await gateway.stop()
    }

    @Test func `an idempotency key delivers once, and repeats the answer`() async throws {
        let gateway = try await GatewayProcess()
        let (client, session) = try await connect(gateway)
        let target = "/v1/sessions/\(session["session_id"].string ?? "")/messages"
        let answers = try await withThrowingTaskGroup(of: JSON.self) { group in
            for _ in 0..<4 { group.addTask { try await post(gateway, target, ["type": "text", "text": "once"], key: "order-7").body } }
            return try await group.reduce(into: [JSON]()) { $0.append($1) }
        }
        #expect(Set(answers.map(\.text)).count == 1)
        #expect(try await client.message("text")["text"] == "once")
        // Nothing else is sent before the pong.
        try await client.expectServed()
        #expect(try await post(gateway, target, ["type": "text", "text": "other"], key: "order-7").status == 422)
        try await gateway.stop()
    }

    @Test func `a push whose time to live is over is undelivered and isn't delivered on resume`() async throws {
        let gateway = try await GatewayProcess(["push.undelivered_max": "1"])
        let (client, session) = try await connect(gateway)
        let id = session["session_id"].string ?? ""
        try await detach(client, gateway, id)
        _ = try await post(gateway, "/v1/sessions/\(id)/messages", ["type": "text", "text": "late", "ttl": "1ms"])
        let kept = try await post(gateway, "/v1/sessions/\(id)/messages", ["type": "text", "text": "kept"])
        #expect(kept.body["sessions"][0]["seq"] == 2)
        var entries: [JSON] = []
        while entries.isEmpty { entries = try await undelivered(gateway) }
        #expect(entries.map { $0["reason"] } == ["expired"] && entries[0]["session_id"].string == id)
        let (resumed, again) = try await connect(gateway, resume: session, after: 0)
        #expect(again["lost"] == false)
        let message = try await resumed.message("text")
        #expect(message["text"] == "kept" && message["seq"] == 2)
        // The session ends with the push unacknowledged; the list has room for one entry.
        try await resumed.send(["type": "bye"])
        try await resumed.expectClose(1000)
        repeat { entries = try await undelivered(gateway) } while entries.first?["reason"] != "session_ended"
        #expect(entries.count == 1 && entries[0]["message"]["text"] == "kept")
        let ended = try await post(gateway, "/v1/sessions/\(id)/messages", ["type": "text", "text": "too late"])
        #expect(ended.status == 202 && ended.body["undelivered"] == 1)
        #expect(try await post(gateway, "/v1/sessions/01M7XQ95SZFZG3YNHSE7V35J13/messages", ["type": "text", "text": "a"]).status == 404)
        try await gateway.stop()
    }

    @Test func `a push to all reaches sessions of all event loops`() async throws {
        let gateway = try await GatewayProcess(["listen.loops": "2"])
        var clients: [TestWebSocket] = []
        for _ in 0..<6 { clients.append(try await connect(gateway).client) }
        let pushed = try await post(gateway, "/v1/messages", ["type": "text", "text": "maintenance at noon"])
        #expect(pushed.body["sessions"].array?.count == 6 && pushed.body["undelivered"] == 0)
        for client in clients { #expect(try await client.message("text")["push"] == ["id": pushed.body["id"]]) }
        try await gateway.stop()
    }

    @Test func `an accepted push survives a kill of the gateway`() async throws {
        let directory = try TemporaryDirectory()
        let flags = ["store.kind": "sqlite", "store.path": "sessions.sqlite"]
        let first = try await GatewayProcess(flags, directory: directory)
        let (client, session) = try await connect(first)
        let id = session["session_id"].string ?? ""
        try await client.send(["type": "ack", "seq": 0])
        try await client.expectServed()
        try await detach(client, first, id)
        let pushed = try await post(first, "/v1/sessions/\(id)/messages", ["type": "text", "text": "durable", "ttl": "1h"])
        #expect(pushed.status == 202)
        try await first.stop()
        let second = try await GatewayProcess(flags, directory: directory)
        let (resumed, _) = try await connect(second, resume: session, after: 0)
        let message = try await resumed.message("text")
        #expect(message["text"] == "durable" && message["push"] == ["id": pushed.body["id"]])
        try await second.stop()
    }

    // MARK: Supervision

    @Test func `an operator takes a conversation over, answers, and hands it back`() async throws {
        let gateway = try await GatewayProcess()
        let (client, session) = try await connect(gateway)
        let path = "/v1/sessions/\(session["session_id"].string ?? "")"
        let taken = try await post(gateway, path + "/takeover")
        #expect(taken.status == 200 && taken.body["answered_by"] == "operator" && taken.body["hands_back_in_ms"] == 600_000)
        try await client.send(["type": "text", "id": "t1", "text": "is anybody there?"])
        #expect(try await client.message("ack")["id"] == "t1")
        // The loopback would have answered before the pong.
        try await client.expectServed()
        let said = try await post(gateway, path + "/say", ["text": "yes, a human"])
        #expect(said.status == 200 && said.body["reply_to"] == "t1")
        let answer = try await client.message("text")
        #expect(answer["reply_to"] == "t1" && answer["text"] == "yes, a human" && answer["done"] == true)
        #expect(try await post(gateway, path + "/say", ["text": "anything else?"]).body["push"]["id"].string?.count == 26)
        #expect(try await client.message("text")["push"]["id"].string?.count == 26)
        try await client.send(["type": "text", "id": "t2", "text": "thanks"])
        #expect(try await client.message("ack")["id"] == "t2")
        try await client.expectServed()
        #expect(try await post(gateway, path + "/handback").body["answered_by"] == "upstream")
        // The upstream, which echoes, answers what the operator left open.
        let echoed = try await client.message("text")
        #expect(echoed["reply_to"] == "t2" && echoed["text"] == "thanks")
        #expect(try await post(gateway, path + "/say", ["text": "too late"]).status == 409)
        let report = try JSON(try await gateway.operationsResponse(to: HTTPRequestText(path + "/report")).body)
        #expect(report["transcript"].array?.contains { $0["text"] == "yes, a human" } == true)
        #expect(
            report["timeline"].array?.compactMap { $0["event"].string }.filter { $0 != "connected" } == [
                "takeover", "say", "say", "handback",
            ])
        try await gateway.stop()
    }

    @Test func `a takeover ends when the operator is idle`() async throws {
        let gateway = try await GatewayProcess(["supervision.takeover_timeout": "500ms"])
        let (client, session) = try await connect(gateway)
        _ = try await post(gateway, "/v1/sessions/\(session["session_id"].string ?? "")/takeover")
        try await client.send(["type": "text", "id": "t1", "text": "hello"])
        #expect(try await client.message("ack")["id"] == "t1")
        #expect(try await client.message("text")["text"] == "hello")
        try await gateway.stop()
    }

    @Test func `only the upstream gets a whisper`() async throws {
        let upstream = try await UpstreamDouble("openai")
        let gateway = try await GatewayProcess([
            "upstreams.chat.kind": "openai", "upstreams.chat.urls": "http://127.0.0.1:\(upstream.port)/v1", "upstreams.chat.model": "test",
            "upstreams.chat.system_prompt": "Be kind.", "routes.all.upstreams": "chat",
        ])
        let (client, session) = try await connect(gateway)
        let path = "/v1/sessions/\(session["session_id"].string ?? "")"
        #expect(try await post(gateway, path + "/whisper", ["text": "offer a discount"]).body["whispers"] == 1)
        for (id, prompt) in [("t1", "Be kind.\n\noffer a discount"), ("t2", "Be kind.")] {
            try await client.send(["type": "text", "id": .string(id), "text": .string("hello \(id)"), "stream": false])
            _ = try await client.collectResponse(to: id)
            let request = try await upstream.event { event in
                event["conversation"].array?.last?[1].string?.hasSuffix("hello \(id)") == true
            }
            #expect(request["conversation"][0] == ["system", .string(prompt)])
        }
        try await gateway.stop()
    }
}
