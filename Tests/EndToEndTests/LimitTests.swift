// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Rate and resource limits. A rejection has a correct retry_after_ms and isn't a violation, but too many rejections close the connection
/// with 4505 (protocol page, section "Errors").
@Suite(.bounded) struct LimitTests {
    private static func text(_ id: Int) -> JSON { ["type": "text", "id": .string("t\(id)"), "text": "x"] }

    /// Sends messages until one is rejected, and returns the error.
    private func exhaust(_ client: TestWebSocket, _ code: String, _ message: (Int) -> JSON) async throws -> JSON {
        for number in 0..<1000 {
            try await client.send(message(number))
            while true {
                let response = try await client.message()
                if response["type"] == "error" {
                    #expect(response["error"]["code"] == .string(code))
                    return response["error"]
                }
                if response["type"] == "pong" || response["done"] == true || response["type"] == "status" { break }
            }
        }
        throw TestFailure("no message was rejected")
    }

    @Test func `texts over the limit are rejected, and retry_after_ms is exact`() async throws {
        // One text per 600 ms, with a burst of 25.
        let gateway = try await SharedGateways.withoutLimits(["limits.text_per_minute": "100"])
        let client = try await gateway.client()
        try await client.send(all: (0..<26).map(Self.text))
        var error: JSON = nil
        var done = 0
        while error.isNull || done < 25 {
            let message = try await client.message()
            if message["type"] == "error" { error = message["error"] }
            if message["done"] == true { done += 1 }
        }
        let rejectedAt = ContinuousClock.now
        #expect(error["code"] == "rate_limited")
        #expect(error["reply_to"] == "t25")
        #expect(error["retryable"] == true)
        #expect(error["fatal"] == false)
        let wait = try #require(error["retry_after_ms"].integer)
        #expect((1...600).contains(wait))
        // The limit doesn't apply to other messages.
        try await client.expectServed()
        // An attempt before retry_after_ms has passed is rejected. This is checked only if the machine was fast enough.
        try await client.send(Self.text(25))
        let sentAfter = ContinuousClock.now - rejectedAt
        if sentAfter < .milliseconds(wait - 250) {
            let again = try await client.error("rate_limited")
            #expect(again["retry_after_ms"].integer ?? 0 <= wait)
            try await Task.sleep(until: rejectedAt + .milliseconds(wait + 1), clock: .continuous)
            try await client.send(Self.text(25))
        }
        #expect(try await client.message() == ["type": "ack", "id": "t25"])
    }

    @Test func `after waiting retry_after_ms the next message is accepted, each time`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.control_per_minute": "240"])
        let client = try await gateway.client()
        var error = try await exhaust(client, "rate_limited") { _ in ["type": "ping"] }
        for _ in 0..<4 {
            let wait = try #require(error["retry_after_ms"].integer)
            #expect((1...250).contains(wait))
            try await Task.sleep(for: .milliseconds(wait))
            try await client.send(["type": "ping", "id": "now"])
            #expect(try await client.message("pong")["id"] == "now")
            error = try await exhaust(client, "rate_limited") { _ in ["type": "ping"] }
        }
    }

    @Test func `control messages share a limit; playback progress beyond it is no error`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.control_per_minute": "4"])
        let client = try await gateway.client()
        let error = try await exhaust(client, "rate_limited") { _ in ["type": "status", "id": "c"] }
        #expect(error["reply_to"] == "c")
        try await client.send(["type": "cancel", "id": "x"])
        _ = try await client.error("rate_limited")
        try await client.send(["type": "auth", "token": "x"])
        _ = try await client.error("rate_limited")
        try await client.send(["type": "status", "state": "playing", "played_ms": 5])
        try await client.send(["type": "ack", "seq": 0])
        try await client.send(["type": "text", "id": "m", "text": "served"])
        #expect(try await client.message() == ["type": "ack", "id": "m"])
    }

    @Test func `audio openings over the limit are rejected, and their frames ignored`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.audio_per_minute": "4"])
        let client = try await gateway.client()
        try await client.send(["type": "audio", "id": "a", "format": AudioTests.format, "data": "AAAA", "final": true])
        let first = try await client.message()
        #expect(first == ["type": "ack", "id": "a", "chunks": 1] || first["error"]["code"] == "invalid_audio")
        try await client.send(["type": "audio", "id": "b", "format": AudioTests.format, "data": "AAAAAA==", "final": true])
        _ = try await client.message("ack")
        _ = try await client.message("transcript")
        try await client.send(["type": "audio", "id": "c", "format": AudioTests.format])
        let error = try await client.error("rate_limited")
        #expect(error["reply_to"] == "c")
        try await client.send(binary: AudioTests.frame)
        try await client.send(binary: AudioTests.frame)
        try await client.expectServed()
    }

    @Test func `chunks over the limit are rejected, and the stream resumes`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.audio_chunks_per_second": "4"])
        let client = try await gateway.client()
        try await client.send(["type": "audio", "id": "u", "format": AudioTests.format])
        _ = try await client.message("ack")
        try await client.socket.send((0..<60).flatMap { _ in TestFrame(TestFrame.binary, [0, 0]).bytes })
        let error = try await client.messagePastAcks("error")["error"]
        #expect(error["code"] == "rate_limited")
        #expect(error["reply_to"] == "u")
        let chunk = try #require(error["chunk"].integer)
        // The burst is 5 s.
        #expect((21...30).contains(chunk))
        let wait = try #require(error["retry_after_ms"].integer)
        #expect((1...250).contains(wait))
        try await Task.sleep(for: .milliseconds(wait))
        try await client.send(["type": "audio", "id": "u", "from": .number(Double(chunk))])
        try await client.send(binary: [0, 0])
        try await client.send(["type": "audio", "id": "u", "final": true])
        #expect(try await client.acknowledged("u", upTo: chunk) == chunk)
    }

    @Test func `a recording with a rejected chunk that isn't resumed fails at its end`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.audio_realtime_factor": "1.5"])
        let client = try await gateway.client()
        try await client.send(["type": "audio", "id": "u", "format": AudioTests.format])
        try await client.socket.send((0..<16).flatMap { _ in TestFrame(TestFrame.binary, [UInt8](repeating: 0, count: 16000)).bytes })
        let rejected = try await client.messagePastAcks("error")
        #expect(rejected["error"]["code"] == "too_fast" && rejected["reply_to"] == "u" && rejected["error"]["reply_to"] == "u")
        let wait = try #require(rejected["error"]["retry_after_ms"].integer)
        #expect(rejected["error"]["message"].string?.hasSuffix("retry after \(Double(wait) / 1000) s") == true)
        try await client.send(["type": "audio", "id": "u", "final": true])
        let last = try await client.messagePastAcks("error")
        #expect(last["error"]["code"] == "invalid_audio" && last["done"] == true && last["reply_to"] == "u" && last["seq"] == 1)
        try await client.expectServed()
    }

    @Test func `audio faster than real time is too_fast`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.audio_realtime_factor": "1.5"])
        let client = try await gateway.client()
        try await client.send(["type": "audio", "id": "u", "format": AudioTests.format])
        _ = try await client.message("ack")
        // 8 s of audio in chunks of half a second; the burst is 5 s.
        try await client.socket.send((0..<16).flatMap { _ in TestFrame(TestFrame.binary, [UInt8](repeating: 0, count: 16000)).bytes })
        let error = try await client.messagePastAcks("error")["error"]
        #expect(error["code"] == "too_fast")
        #expect(error["retryable"] == true)
        let chunk = try #require(error["chunk"].integer)
        #expect((11...14).contains(chunk))
        let wait = try #require(error["retry_after_ms"].integer)
        #expect((1...334).contains(wait))
        try await Task.sleep(for: .milliseconds(wait))
        try await client.send(["type": "audio", "id": "u", "from": .number(Double(chunk))])
        try await client.send(binary: [UInt8](repeating: 0, count: 16000))
        try await client.send(["type": "audio", "id": "u", "final": true])
        #expect(try await client.acknowledged("u", upTo: chunk) == chunk)
    }

    @Test func `bytes over the rate limit are rejected`() async throws {
        // The burst is 40 KB.
        let gateway = try await SharedGateways.withoutLimits(["limits.bytes_per_second": "10KB"])
        let client = try await gateway.client()
        let big = JSON.string(String(repeating: "x", count: 39_000))
        try await client.send(["type": "text", "id": "a", "text": big])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "text", "id": "b", "text": big])
        let error = try await client.error("rate_limited")
        #expect((1...4000).contains(error["retry_after_ms"].integer ?? 0))
        try await client.expectServed()
        try await gateway.expectNextClientServed()
    }

    @Test func `the global limit applies to all sessions together`() async throws {
        let gateway = try await GatewayProcess(SharedGateways.withoutLimits.merging(["limits.global_per_second": "2"]) { $1 })
        let first = try await gateway.client()
        let second = try await gateway.client()
        var rejected = false
        for number in 0..<20 where !rejected {
            let client = number % 2 == 0 ? first : second
            try await client.send(["type": "ping"])
            let response = try await client.message()
            if response["type"] == "error" {
                #expect(response["error"]["code"] == "rate_limited")
                let wait = try #require(response["error"]["retry_after_ms"].integer)
                #expect((1...500).contains(wait))
                rejected = true
                try await Task.sleep(for: .milliseconds(wait))
                try await client.expectServed()
            }
        }
        #expect(rejected)
        try await gateway.stop()
    }

    @Test func `more violations than allowed close the connection with 4505`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["messages.max_violations": "5"])
        let client = try await gateway.client()
        for _ in 0..<5 {
            try await client.send("{")
            _ = try await client.error("invalid_json")
        }
        try await client.send("{")
        _ = try await client.error("invalid_json")
        try await client.expectFatalError("too_many_violations", 4505)
        try await gateway.expectNextClientServed()
    }

    @Test func `more rejections than allowed close the connection with 4505`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.text_per_minute": "1", "limits.refusals_per_minute": "3"])
        let client = try await gateway.client()
        try await client.send(Self.text(0))
        _ = try await client.message("ack")
        _ = try await client.message("text")
        for number in 1...3 {
            try await client.send(Self.text(number))
            _ = try await client.error("rate_limited")
        }
        try await client.send(Self.text(4))
        _ = try await client.error("rate_limited")
        try await client.expectFatalError("too_many_violations", 4505)
        try await gateway.expectNextClientServed()
    }

    @Test func `rejections by a limit don't count as violations`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["limits.text_per_minute": "1", "messages.max_violations": "1"])
        let client = try await gateway.client()
        try await client.send(all: (0..<10).map(Self.text))
        var rejected = 0
        while rejected < 9 {
            let message = try await client.message()
            if message["type"] == "error" {
                #expect(message["error"]["code"] == "rate_limited")
                rejected += 1
            }
        }
        try await client.send(["type": "ack", "seq": 0])
        try await client.send(["type": "ping", "id": "served"])
        var message = try await client.message()
        if message["type"] == "text" { message = try await client.message() }
        #expect(message["id"] == "served")
    }

    // MARK: Connections

    @Test func `connections over the total are rejected with 503`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["connections.max": "2"])
        let first = try await gateway.client()
        let second = try await gateway.client()
        let response = try await gateway.response(to: .upgrade())
        #expect(response.status == 503)
        #expect(response["retry-after"] != nil)
        #expect(try response.json()["code"] == "connection_limit")
        try await gateway.webSocket(.upgrade("/v1/ws?errors=inband")).expectFatalError("connection_limit", 1013)
        // Health checks aren't WebSockets and don't count.
        #expect(try await gateway.response(to: HTTPRequestText("/livez")).status == 200)
        try await first.expectServed()
        try await second.send(["type": "bye"])
        try await second.expectClose(1000)
        try await gateway.eventuallyServes()
    }

    @Test func `connections over the limit of an address are rejected with 429`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["connections.per_address": "1"])
        let first = try await gateway.client()
        let response = try await gateway.response(to: .upgrade())
        #expect(response.status == 429)
        #expect(response["retry-after"] != nil)
        #expect(try response.json()["code"] == "connection_limit")
        try await gateway.webSocket(.upgrade("/v1/ws?errors=inband")).expectFatalError("connection_limit", 1013)
        try await first.send(["type": "bye"])
        try await first.expectClose(1000)
        try await gateway.eventuallyServes()
    }

    @Test func `sessions over the limit are rejected with 503`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["sessions.max": "1"])
        let first = try await gateway.client()
        let response = try await gateway.response(to: .upgrade())
        #expect(response.status == 503)
        #expect(try response.json()["code"] == "session_limit")
        try await gateway.webSocket(.upgrade("/v1/ws?errors=inband")).expectFatalError("session_limit", 1013)
        try await first.send(["type": "bye"])
        try await first.expectClose(1000)
        try await gateway.eventuallyServes()
    }

    @Test func `at max_sockets accepting pauses, and continues after a close`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["connections.max": "2", "connections.max_sockets": "2"])
        let first = try await gateway.client()
        let second = try await gateway.client()
        // The third client waits in the backlog: connected by the kernel, not yet accepted.
        let third = Task { try await gateway.client().expectServed() }
        try await first.expectServed()
        try await second.send(["type": "bye"])
        try await second.expectClose(1000)
        try await third.value
        try await first.expectServed()
    }

    @Test func `connections over the handshake rate of an address are closed`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["connections.handshakes_per_second": "2"])
        var closed = 0
        for _ in 0..<8 {
            do {
                _ = try await TestSocket.connect(port: gateway.port)
            } catch {
                closed += 1
            }
        }
        #expect(closed > 0)
        try await gateway.eventuallyServes()
    }

    @Test func `reconnecting doesn't reset the limits of an address`() async throws {
        // A session may send one text per minute, an address three.
        let gateway = try await SharedGateways.withoutLimits(["limits.text_per_minute": "1", "limits.per_address_factor": "3"])
        func send(_ number: Int, from address: String? = nil) async throws -> JSON {
            let client = try await gateway.client(from: address)
            try await client.send(Self.text(number))
            let response = try await client.message()
            if response["type"] == "ack" { _ = try await client.message("text") }
            try await client.send(["type": "bye"])
            try await client.expectClose(1000)
            return response
        }
        for number in 0..<3 { #expect(try await send(number)["type"] == "ack") }
        let error = try await send(3)["error"]
        #expect(error["code"] == "rate_limited" && error["fatal"] == false)
        #expect(error["message"].string?.contains("limits.per_address_factor") == true)
        #expect(error["retry_after_ms"].integer ?? 0 > 0)
        #expect(try await send(4, from: "127.0.0.2")["type"] == "ack")
    }

    @Test func `violations of closed connections count toward their address`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["messages.max_violations": "2", "limits.per_address_factor": "1.5"])
        for _ in 0..<3 {
            let client = try await gateway.client()
            try await client.send("{")
            _ = try await client.error("invalid_json")
        }
        let last = try await gateway.client()
        try await last.send("{")
        _ = try await last.error("invalid_json")
        try await last.expectFatalError("too_many_violations", 4505)
        try await gateway.client(from: "127.0.0.2").expectServed()
    }

    @Test func `detached sessions of one address neither block nor evict sessions of other addresses`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["sessions.max_detached": "4"])
        func detach(from address: String? = nil) async throws -> JSON {
            let client = try await gateway.webSocket(from: address)
            let session = try await client.message("session")
            try await client.send(Self.text(1))
            _ = try await client.message("ack")
            _ = try await client.message("text")
            await client.socket.close()
            return session
        }
        func resume(_ session: JSON, from address: String? = nil) async throws -> JSON {
            let request = HTTPRequestText.upgrade("/v1/ws?last_seq=1", adding: [("Parley-Resume", session["resume_token"].string ?? "")])
            return try await gateway.webSocket(request, from: address).message("session")
        }
        let other = try await detach(from: "127.0.0.2")
        var last: JSON = nil
        for _ in 0..<12 { last = try await detach() }
        let third = try await gateway.client(from: "127.0.0.3")
        try await third.expectServed()
        let resumed = try await resume(other, from: "127.0.0.2")
        #expect(resumed["resumed"] == true && resumed["lost"] == false && resumed["session_id"] == other["session_id"])
        #expect(try await resume(last)["resumed"] == true)
    }

    // MARK: Memory and queues

    @Test func `requests beyond the memory budget are rejected until responses are acknowledged`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["sessions.memory_budget": "200KB"])
        let client = try await gateway.client()
        let text = JSON.string(String(repeating: "x", count: 4000))
        // Responses stay in the outbox until they are acknowledged.
        var rejected: JSON?
        var last: JSON = 0
        for number in 0..<200 where rejected == nil {
            try await client.send(["type": "text", "id": .string("m\(number)"), "text": text])
            let response = try await client.message()
            if response["type"] == "ack" {
                last = try await client.message("text")["seq"]
            } else {
                rejected = response["error"]
            }
        }
        let error = try #require(rejected)
        #expect(error["code"] == "memory_limit")
        #expect(error["fatal"] == false)
        #expect(error["retryable"] == true)
        try await client.expectServed()
        try await client.send(["type": "ack", "seq": last])
        let id = try #require(error["reply_to"].string)
        try await client.send(["type": "text", "id": .string(id), "text": text])
        #expect(try await client.message() == ["type": "ack", "id": .string(id)])
    }

    @Test func `a session over its budget without reclaimable memory ends with 4506`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["sessions.memory_budget": "64KB"])
        let client = try await gateway.client()
        // An incomplete fragmented message is held by the reassembly buffer.
        let frame = TestFrame(TestFrame.text, [UInt8](repeating: 0x20, count: 80_000)).with { $0.isFinal = false }
        try await client.send(frame)
        try await client.expectFatalError("memory_limit", 4506)
        try await gateway.expectNextClientServed()
    }

    @Test func `chunks beyond the upstream queue are overloaded, and the stream resumes`() async throws {
        let gateway = try await SharedGateways.withoutLimits([
            "delivery.upstream_queue_bytes": "64KB", "delivery.socket_queue_bytes": "64KB", "sessions.outbox_bytes": "16MB",
            "sessions.memory_budget": "64MB", "delivery.send_timeout": "5m",
        ])
        let client = try await gateway.client(receiveBuffer: 4096)
        try await client.send(["type": "audio", "id": "u", "format": AudioTests.format, "meta": ["echo": "audio"]])
        _ = try await client.message("ack")
        try await client.socket.pauseReading()
        // Echoed audio that isn't read fills the socket, then the queue of the upstream.
        let chunk = TestFrame(TestFrame.binary, [UInt8](repeating: 0, count: 32_000)).bytes
        for _ in 0..<400 { client.socket.push(chunk) }
        client.socket.push(TestFrame(TestFrame.text, text: #"{"type":"ping","id":"behind"}"#).bytes)
        _ = try await gateway.line { $0["msg"] == "error sent" && $0["code"] == "overloaded" }
        try await client.socket.resumeReading()
        var rejected: Int?
        while true {
            guard case .text(let text) = try await client.next() else { continue }
            let message = try JSON(text)
            if message["type"] == "error" {
                #expect(message["error"]["code"] == "overloaded")
                rejected = message["error"]["chunk"].integer
            }
            if message["id"] == "behind" { break }
        }
        let number = try #require(rejected)
        try await client.send(["type": "audio", "id": "u", "from": .number(Double(number))])
        try await client.send(binary: [0, 0])
        try await client.send(["type": "audio", "id": "u", "final": true])
        while true {
            guard case .text(let text) = try await client.next() else { continue }
            let message = try JSON(text)
            if message["type"] == "transcript" {
                #expect(message["done"] == true)
                break
            }
        }
    }
}

extension GatewayProcess {
    /// Retries until a connection is accepted, because the permit of a closed connection is released a moment later.
    func eventuallyServes() async throws {
        for _ in 0..<100 {
            if let upgrade = try? await response(to: .upgrade()), upgrade.status == 101 { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw TestFailure("no connection was accepted")
    }
}
