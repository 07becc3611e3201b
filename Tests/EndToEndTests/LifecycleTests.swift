// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Deadlines of connections and sessions, configured with short durations. Each test awaits the event instead of sleeping.
@Suite(.bounded) struct LifecycleTests {
    private static func elapsed<Value>(_ body: () async throws -> Value) async throws -> (Value, Duration) {
        let start = ContinuousClock.now
        let value = try await body()
        return (value, ContinuousClock.now - start)
    }

    @Test func `a missed pong triggers another ping; silence closes with 4001`() async throws {
        let gateway = try await SharedGateways.withoutLimits([
            "heartbeat.interval": "200ms", "heartbeat.timeout": "200ms", "heartbeat.stale_after": "2500ms",
        ])
        let client = try await gateway.client()
        client.sendsPongs = false
        var pings = 0
        while true {
            let incoming = try await client.next()
            if case .ping = incoming {
                pings += 1
                continue
            }
            guard case .text(let text) = incoming else { throw TestFailure("not an error: \(incoming)") }
            #expect(try JSON(text)["error"]["code"] == "heartbeat_timeout")
            #expect(try JSON(text)["error"]["fatal"] == true)
            break
        }
        #expect(pings >= 2)
        try await client.expectClose(4001)
        try await gateway.expectNextClientServed()
    }

    @Test func `pings continue while pongs arrive, and status reports the round-trip time`() async throws {
        let gateway = try await SharedGateways.withoutLimits([
            "heartbeat.interval": "200ms", "heartbeat.timeout": "10s", "heartbeat.stale_after": "20s",
        ])
        let client = try await gateway.client()
        client.sendsPongs = false
        for _ in 0..<6 {
            guard case .ping(let payload) = try await client.next() else { throw TestFailure("no ping") }
            #expect(payload.count == 8)
            try await client.send(TestFrame(TestFrame.pong, payload))
        }
        client.sendsPongs = true
        try await client.send(["type": "status"])
        let round = try await client.message("status")["session"]["rtt_ms"].number
        #expect((round ?? -1) > 0 && (round ?? 1e9) < 30_000)
    }

    @Test func `any received byte keeps the connection alive`() async throws {
        let gateway = try await SharedGateways.withoutLimits([
            "heartbeat.interval": "500ms", "heartbeat.timeout": "500ms", "heartbeat.stale_after": "6s",
        ])
        let client = try await gateway.client()
        client.sendsPongs = false
        // One byte of a frame for each ping: no pong and no complete message.
        for byte in TestFrame(TestFrame.text, text: #"{"type":"ping"}"#).bytes.prefix(14) {
            guard case .ping = try await client.next() else { throw TestFailure("no ping") }
            try await client.socket.send([byte])
        }
    }

    @Test func `a session ends with 4502 after sessions ttl`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["sessions.ttl": "1s"])
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        #expect(session["expires_at"].integer != nil)
        var message = try await client.message()
        if message["type"] == "goaway" { message = try await client.message() }
        #expect(message["error"]["code"] == "session_expired")
        try await client.expectClose(4502)
        try await gateway.expectNextClientServed()
    }

    @Test func `an idle session ends with 4502`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["sessions.idle": "500ms"])
        let client = try await gateway.client()
        let (_, elapsed) = try await Self.elapsed { try await client.error("session_expired") }
        #expect(elapsed > .milliseconds(300))
        try await client.expectClose(4502)
        try await gateway.expectNextClientServed()
    }

    @Test func `a connection at max_age gets goaway, then 4003`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["connections.max_age": "1s"])
        let client = try await gateway.client()
        let goaway = try await client.message("goaway")
        #expect(goaway["reason"].string != nil)
        #expect((0...1000).contains(goaway["deadline_ms"].integer ?? -1))
        try await client.expectClose(4003)
        try await gateway.expectNextClientServed()
    }

    @Test func `a connection at max_age whose session expires as well gets 4502`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["connections.max_age": "1s", "sessions.ttl": "1s"])
        let client = try await gateway.client()
        while true {
            switch try await client.next() {
            case .text(let text): #expect(try ["goaway", "error"].contains(JSON(text)["type"].string))
            case let other:
                guard case .close(let code, _) = other else { throw TestFailure("\(other)") }
                #expect(code == 4502)
                return
            }
        }
    }

    @Test func `a client that doesn't read is closed as a slow consumer`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["delivery.send_timeout": "500ms", "sessions.memory_budget": "0"])
        let client = try await gateway.client(receiveBuffer: 4096)
        try await client.socket.pauseReading()
        // Texts whose responses aren't read.
        let text = String(repeating: "y", count: 90_000)
        let flood = (0..<100).flatMap { TestFrame(TestFrame.text, text: #"{"type":"text","id":"s\#($0)","text":"\#(text)"}"#).bytes }
        client.socket.push(flood)
        let line = try await gateway.line { $0["msg"] == "connection closed" && $0["code"] == 4002 }
        #expect(line["reason"].string?.hasPrefix("slow_consumer ") == true)
        try await gateway.expectNextClientServed()
    }

    @Test func `a slow consumer that resumes reading gets the error and 4002`() async throws {
        let gateway = try await SharedGateways.withoutLimits([
            "delivery.send_timeout": "500ms", "sessions.memory_budget": "0", "websocket.close_timeout": "20s",
            // Otherwise texts may be rejected, and the log line of the last error be suppressed.
            "delivery.upstream_queue_bytes": "0",
        ])
        let client = try await gateway.client(receiveBuffer: 4096)
        try await client.socket.pauseReading()
        let text = String(repeating: "y", count: 90_000)
        for number in 0..<100 {
            client.socket.push(TestFrame(TestFrame.text, text: #"{"type":"text","id":"s\#(number)","text":"\#(text)"}"#).bytes)
        }
        _ = try await gateway.line { $0["msg"] == "error sent" && $0["code"] == "slow_consumer" }
        try await client.socket.resumeReading()
        while true {
            let message = try await client.message()
            guard message["type"] == "error", message["error"]["fatal"] == true else { continue }
            #expect(message["error"]["code"] == "slow_consumer")
            break
        }
        try await client.expectClose(4002)
    }

    // MARK: Before the upgrade

    @Test func `an incomplete TLS handshake is closed at its deadline, even if bytes trickle in`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["tls.handshake_timeout": "500ms"])
        let socket = try await TestSocket.connect(port: gateway.port, .none)
        // A record header that announces 512 bytes.
        try await socket.send([0x16, 0x03, 0x01, 0x02, 0x00])
        let trickle = Task {
            while !Task.isCancelled {
                try await socket.send([0x01])
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        let (_, elapsed) = try await Self.elapsed { try await socket.waitForEnd() }
        trickle.cancel()
        #expect(elapsed > .milliseconds(300))
        try await gateway.expectNextClientServed()
    }

    @Test func `a request head that trickles in is closed at its deadline`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["http.header_timeout": "700ms"])
        let socket = try await TestSocket.connect(port: gateway.port)
        let trickle = Task {
            for byte in HTTPRequestText.upgrade().bytes {
                try await socket.send([byte])
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        let (_, elapsed) = try await Self.elapsed { try await socket.waitForEnd() }
        trickle.cancel()
        #expect(elapsed < .seconds(5))
        try await gateway.expectNextClientServed()
    }

    @Test func `a connection without a request is closed at the deadline`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["http.header_timeout": "700ms"])
        let socket = try await TestSocket.connect(port: gateway.port)
        try await socket.waitForEnd()
        try await gateway.expectNextClientServed()
    }

    @Test func `without a reply to its close frame the gateway closes after close_timeout`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["websocket.close_timeout": "300ms"])
        let client = try await gateway.client()
        try await client.send(["type": "bye"])
        guard case .close(1000, _) = try await client.next() else { throw TestFailure("no close") }
        let (_, elapsed) = try await Self.elapsed { try await client.socket.waitForEnd() }
        #expect(elapsed < .seconds(3))
    }

    // MARK: Lost connections

    @Test func `clients that disconnect at any point leave no connection or session behind`() async throws {
        let gateway = try await GatewayProcess(SharedGateways.withoutLimits)
        for _ in 0..<5 {
            let socket = try await TestSocket.connect(port: gateway.port)
            await socket.reset()
            let half = try await TestSocket.connect(port: gateway.port)
            try await half.send(HTTPRequestText.upgrade().bytes.prefix(30))
            await half.reset()
            let client = try await gateway.client()
            try await client.socket.send(TestFrame(TestFrame.text, text: #"{"type":"ping"}"#).bytes.prefix(9))
            await client.socket.reset()
            let other = try await gateway.client()
            try await other.socket.finishSending()
            try await other.socket.waitForEnd()
        }
        try await gateway.expectNextClientServed()
        for _ in 0..<200 {
            let state = try await gateway.operationsResponse(
                to: HTTPRequestText("/v1/gateway", fields: [("Host", "localhost"), ("Connection", "close")])
            ).json()
            if state["connections"]["open"] == 0, state["sessions"]["attached"] == 0 { return try await gateway.stop() }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("connections or sessions are left")
    }
}
