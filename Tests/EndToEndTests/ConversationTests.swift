// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Conversations of well-behaved clients (protocol page, sections "Connecting" and "Messages").
@Suite(.bounded) struct ConversationTests {
    @Test func `the first message is session, with every field of the protocol`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.text_per_minute": "8"])
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        #expect(TestWebSocket.isULID(session["session_id"].string))
        #expect(session["resume_token"].string?.count == 43)
        #expect(session["resumed"] == false)
        #expect(session["lost"] == false)
        #expect(session["resume_error"].isNull)
        #expect(session["last_seq"] == 0)
        #expect(session["heartbeat_ms"] == 30_000)
        #expect(session["protocol"] == "parley.v1")
        #expect(session["open_audio"].isNull)
        let expires = try #require(session["expires_at"].number)
        try await client.send(["type": "ping"])
        let now = try #require(try await client.message("pong")["server_ts"].number)
        #expect(abs(expires - now - 86_400_000) < 60_000)
        let limits = session["limits"]
        #expect(limits["websocket.max_message_bytes"] == 2_000_000)
        #expect(limits["messages.max_bytes"] == 256_000)
        #expect(limits["messages.max_text_bytes"] == 100_000)
        #expect(limits["messages.audio_max_bytes"] == 1_000_000)
        #expect(limits["limits.text_per_minute"] == 8)
        #expect(limits["sessions.memory_budget"] == 6_291_456)
    }

    @Test func `each session has a new id and resume token`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let first = try await gateway.webSocket().message("session")
        let second = try await gateway.webSocket().message("session")
        #expect(first["session_id"] != second["session_id"])
        #expect(first["resume_token"] != second["resume_token"])
    }

    @Test(arguments: ["0", "-1", "1.50", "1e3", "12345678901234567890123", "-0.0", "1E-2"])
    func `a pong echoes ts as it was written`(ts: String) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(#"{"type":"ping","id":"p","ts":\#(ts)}"#)
        let pong = try await client.text()
        #expect(pong.contains("\"ts\":\(ts),"))
        #expect(try JSON(pong)["id"] == "p")
        #expect(try JSON(pong)["server_ts"].integer != nil)
    }

    @Test func `a ping without fields gets a pong with only server_ts`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "ping"])
        let pong = try await client.message("pong")
        #expect(pong.without("server_ts") == ["type": "pong"])
    }

    @Test func `a text gets its ack and a response with done`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "text", "id": "m1", "text": "Hello, gateway 👋", "lang": "de-CH", "meta": ["a": "b"]])
        #expect(try await client.message() == ["type": "ack", "id": "m1"])
        #expect(
            try await client.message().without("usage", "timing")
                == [
                    "type": "text", "seq": 1, "reply_to": "m1", "text": "Hello, gateway 👋", "final": true, "done": true,
                ])
    }

    @Test func `a streamed response arrives word by word, and the deltas add up to the text`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let text = (1...200).map { $0 % 7 == 0 ? "wort\($0)\n" : "word\($0)  " }.joined()
        try await client.send(["type": "text", "id": "s", "text": .string(text)])
        #expect(try await client.message() == ["type": "ack", "id": "s"])
        var sum = ""
        var sequence = 0
        var isDone = false
        while !isDone {
            let delta = try await client.message("text")
            sequence += 1
            #expect(delta["seq"].integer == sequence)
            #expect(delta["reply_to"] == "s")
            sum += delta["text"].string ?? ""
            isDone = delta["done"] == true
            #expect(delta["final"] == .bool(isDone))
        }
        #expect(sum == text)
        #expect(sequence == 200)
    }

    @Test func `with stream false a long response arrives in one message`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let text = (1...200).map { "word\($0)" }.joined(separator: " ")
        try await client.send(["type": "text", "id": "s", "text": .string(text), "stream": false])
        #expect(try await client.message() == ["type": "ack", "id": "s"])
        let reply = try await client.message("text")
        #expect(reply["text"] == .string(text))
        #expect(reply["final"] == true)
        #expect(reply["done"] == true)
    }

    @Test(arguments: [20, 21])
    func `more than 20 words are streamed`(words: Int) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "text", "id": "s", "text": .string(Array(repeating: "w", count: words).joined(separator: " "))])
        _ = try await client.message("ack")
        #expect(try await client.message("text")["final"] == .bool(words == 20))
    }

    @Test func `control characters are removed before a text is measured and forwarded`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let dirty = #"a\u0000b\u0001c\td\ne\rf\u001fg\u007fh\u0080i\u009fj"#
        try await client.send(#"{"type":"text","id":"m","text":"\#(dirty)k\#u{0085}l\#u{7F}m"}"#)
        _ = try await client.message("ack")
        #expect(try await client.message("text")["text"] == "abc\td\nefghijklm")
    }

    @Test func `a text that consists only of control characters is rejected as empty`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(#"{"type":"text","id":"m","text":"\u0000\u0001\u0085"}"#)
        #expect(try await client.error("invalid_message")["param"] == "/text")
        try await client.expectServed()
    }

    @Test func `the length of a text is measured after control characters are removed`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let full = String(repeating: "ä", count: 50_000)
        try await client.send(#"{"type":"text","id":"at","text":"\u0001\#(full)\u0085","stream":false}"#)
        _ = try await client.message("ack")
        #expect(try await client.message("text")["text"].string?.utf8.count == 100_000)
        try await client.send(#"{"type":"text","id":"over","text":"\#(full)a","stream":false}"#)
        let error = try await client.error("message_too_large")
        #expect(error["param"] == "/text")
        #expect(error["reply_to"] == "over")
        #expect(error["fatal"] == false)
        try await client.expectServed()
    }

    @Test func `a repeated id is acknowledged as a duplicate, and the text isn't forwarded`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "text", "id": "m", "text": "once"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "text", "id": "m", "text": "twice"])
        #expect(try await client.message() == ["type": "ack", "id": "m", "duplicate": true])
        try await client.expectServed()
    }

    @Test func `an id that was used with another type is a duplicate_id`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "text", "id": "m", "text": "once"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "audio", "id": "m", "format": ["codec": "pcm16", "rate": 16000, "channels": 1]])
        let error = try await client.error("duplicate_id")
        #expect(error["reply_to"] == "m")
        #expect(error["fatal"] == false)
        #expect(error["retryable"] == false)
        try await client.send(binary: [0, 0])
        try await client.expectServed()
        try await client.send(["type": "text", "id": "m2", "text": "next"])
        #expect(try await client.message() == ["type": "ack", "id": "m2"])
    }

    @Test func `the id of a rejected message can be used again`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "text", "id": "m", "text": ""])
        #expect(try await client.error("invalid_message")["reply_to"] == "m")
        try await client.send(["type": "text", "id": "m", "text": "good"])
        #expect(try await client.message() == ["type": "ack", "id": "m"])
        #expect(try await client.message("text")["text"] == "good")
    }

    @Test(arguments: [1, 64])
    func `an id has 1 to 64 characters`(count: Int) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let id = String("AZaz09._:-AZaz09._:-AZaz09._:-AZaz09._:-AZaz09._:-AZaz09._:-AZaz".prefix(count))
        try await client.send(["type": "text", "id": .string(id), "text": "x"])
        #expect(try await client.message() == ["type": "ack", "id": .string(id)])
    }

    @Test func `the last thousand ids detect duplicates, older ids don't`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        for batch in 0..<10 {
            try await client.send(
                all: (batch * 100..<batch * 100 + 100).map { ["type": "text", "id": .string("i\($0)"), "text": "x"] })
            for _ in 0..<200 { _ = try await client.message() }
        }
        try await client.send(["type": "text", "id": "i0", "text": "x"])
        #expect(try await client.message() == ["type": "ack", "id": "i0", "duplicate": true])
        try await client.send(["type": "text", "id": "one-more", "text": "x"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "text", "id": "i0", "text": "x"])
        #expect(try await client.message() == ["type": "ack", "id": "i0"])
    }

    @Test func `a status with an id is acknowledged, a status without one isn't`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        for state in ["typing", "idle", "recording", "muted", "playing"] {
            try await client.send(["type": "status", "state": .string(state), "reply_to": "x", "played_ms": 120])
            try await client.send(["type": "status", "id": "st", "state": .string(state)])
            #expect(try await client.message() == ["type": "ack", "id": "st"])
        }
        try await client.expectServed()
    }

    @Test func `the status report has every field of the protocol`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.text_per_minute": "8"])
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        try await client.send(["type": "text", "id": "m", "text": "hello"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "nonsense"])
        _ = try await client.error("unsupported_type")
        try await client.send(["type": "status", "id": "r"])
        let report = try await client.message("status")
        #expect(report["id"] == "r")
        #expect(report["seq"].isNull)
        #expect(report["session"]["session_id"] == session["session_id"])
        #expect(report["session"]["messages_in"] == 3)
        #expect(report["session"]["messages_out"].integer ?? 0 >= 4)
        #expect(report["session"]["errors"] == 1)
        #expect(report["session"]["audio_seconds"] == 0)
        #expect(report["session"].object?.keys.contains("rtt_ms") == true)
        #expect(report["session"]["expires_at"] == session["expires_at"])
        #expect(report["session"]["connected_at"].integer ?? 0 > 1_700_000_000_000)
        let memory = try #require(report["memory"].object)
        #expect(memory["budget"] == 6_291_456)
        let parts = memory.filter { $0.key != "total" && $0.key != "budget" }.values.reduce(0) { $0 + ($1.integer ?? 0) }
        #expect(memory["total"]?.integer == parts)
        #expect(report["limits"]["limits.text_per_minute"] == 1)
        #expect(report["upstream"]["state"].string != nil)
    }

    @Test func `sequence numbers count JSON and binary messages, and nothing else`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "text", "id": "a", "text": "one"])
        _ = try await client.message("ack")
        #expect(try await client.message("text")["seq"] == 1)
        try await client.expectServed()
        try await client.send([
            "type": "audio", "id": "b", "format": ["codec": "pcm16", "rate": 16000, "channels": 1], "data": "AAAAAA==", "final": true,
            "meta": ["echo": "audio"],
        ])
        _ = try await client.message("ack")
        #expect(try await client.message("audio")["seq"] == 2)
        #expect(try await client.binary() == [0, 0, 0, 0])
        #expect(try await client.message("audio")["seq"] == 4)
        #expect(try await client.message("transcript")["seq"] == 5)
        try await client.send(["type": "ack", "seq": 5])
        try await client.send(["type": "text", "id": "c", "text": "two"])
        _ = try await client.message("ack")
        #expect(try await client.message("text")["seq"] == 6)
    }

    @Test func `bye closes with 1000`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.client()
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        try await gateway.expectNextClientServed()
    }

    @Test func `cancelling an unknown id is not_found and no violation`() async throws {
        let client = try await SharedGateways.withoutLimits(["messages.max_violations": "1"]).client()
        for _ in 0..<5 {
            try await client.send(["type": "cancel", "id": "nobody", "reason": "no"])
            let error = try await client.error("not_found")
            #expect(error["reply_to"] == "nobody")
            #expect(error["fatal"] == false)
        }
        try await client.expectServed()
    }

    @Test func `cancelling a finished id is not_found`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "text", "id": "m", "text": "short"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "cancel", "id": "m"])
        _ = try await client.error("not_found")
        try await client.expectServed()
    }

    @Test func `auth without authentication is unauthorized and not fatal`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "auth", "token": "abc"])
        let error = try await client.error("unauthorized")
        #expect(error["fatal"] == false)
        try await client.expectServed()
    }
}

extension JSON {
    /// Returns the object with one member changed, or removed if `value` is nil.
    func with(_ name: String, _ value: JSON?) -> JSON {
        guard case .object(var members) = self else { return self }
        members[name] = value
        return .object(members)
    }
}
