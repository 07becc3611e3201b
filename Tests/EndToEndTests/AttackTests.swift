// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Attacks of the threat model that no other suite covers. Each test verifies the outcome, and that the next client is served.
@Suite(.bounded) struct AttackTests {
    // MARK: Before the upgrade

    /// A ClientHello in the format of TLS 1.2, to be corrupted byte by byte.
    private static let hello: [UInt8] = {
        let random = (0..<32).map { UInt8(truncatingIfNeeded: $0 * 37) }
        let body: [UInt8] = [0x03, 0x03] + random + [0, 0, 2, 0x13, 0x01, 1, 0, 0, 4, 0x00, 0x2B, 0, 0]
        let message: [UInt8] = [1, 0, 0, UInt8(body.count)] + body
        return [0x16, 0x03, 0x01, 0, UInt8(message.count)] + message
    }()

    private static func corrupted(_ index: Int, _ value: UInt8) -> [UInt8] {
        var bytes = hello
        bytes[index] = value
        return bytes
    }

    @Test(
        arguments: [
            ("a record longer than TLS allows", [0x16, 0x03, 0x01, 0xFF, 0xFF] + [UInt8](repeating: 1, count: 300)),
            ("repeated empty records", (0..<200).flatMap { _ in [0x16, 0x03, 0x01, 0, 0] as [UInt8] }),
            ("a message longer than its record", corrupted(7, 0xFF)), ("a session id beyond the message", corrupted(43, 0xFF)),
            ("suites beyond the message", corrupted(44, 0xFF)), ("an odd number of bytes of suites", corrupted(45, 1)),
            ("extensions beyond the message", corrupted(50, 0xFF)), ("another handshake message first", corrupted(5, 2)),
            ("an obsolete version", corrupted(9, 0)), ("application data first", corrupted(0, 0x17)),
            ("an alert first", [0x15, 0x03, 0x01, 0, 2, 2, 40]),
            ("SSL 2", [0x80, 0x2E, 1, 0, 2, 0, 0x15] + [UInt8](repeating: 0, count: 60)),
            (
                "64 KiB of an incomplete ClientHello",
                (0..<5).flatMap { _ in [0x16, 0x03, 0x01, 0x3F, 0xFF, 1, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 0x3FFB) }
            ),
        ] as [(String, [UInt8])])
    func `a malformed ClientHello is rejected`(_ description: String, bytes: [UInt8]) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port, .none)
        socket.push(bytes)
        try? await socket.finishSending()
        try await socket.waitForEnd()
        try await gateway.expectNextClientServed()
    }

    @Test func `a truncated ClientHello leaves no socket behind`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        for count in stride(from: 0, to: Self.hello.count, by: 5) {
            let socket = try await TestSocket.connect(port: gateway.port, .none)
            socket.push(Self.hello.prefix(count))
            try? await socket.finishSending()
            try await socket.waitForEnd()
        }
        try await gateway.expectNextClientServed()
    }

    @Test func `a hundred thousand header lines are rejected with 431`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port)
        socket.push(Array("GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n".utf8) + (0..<100_000).flatMap { _ in Array("a: b\r\n".utf8) })
        let response = try await socket.receiveResponse()
        #expect(response.status == 431)
        #expect(try response.json()["code"] == "header_too_large")
        await socket.close()
        try await gateway.expectNextClientServed()
    }

    @Test func `a header of 20 MB is rejected with 431 before its end`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port)
        socket.push(Array("GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nX-Long: ".utf8))
        let piece = [UInt8](repeating: 0x61, count: 100_000)
        for _ in 0..<200 { socket.push(piece) }
        #expect(try await socket.receiveResponse().status == 431)
        await socket.close()
        try await gateway.expectNextClientServed()
    }

    @Test func `hundreds of invalid compression offers are skipped, and the valid offer after them is accepted`() async throws {
        let bad = [7, 8, 16, 99].map { "permessage-deflate; server_max_window_bits=\($0); client_max_window_bits=15" }
        let offers = (0..<40).flatMap { _ in bad } + ["permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"]
        let gateway = try await SharedGateways.withoutLimits(["websocket.compression": "dedicated"])
        let client = try await gateway.client(.upgrade(adding: [("Sec-WebSocket-Extensions", offers.joined(separator: ", "))]))
        let agreed = "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"
        #expect(client.response["sec-websocket-extensions"] == agreed)
        try await client.expectServed()
        try await gateway.expectNextClientServed()
    }

    @Test func `silent connections occupy sockets only until the handshake timeout`() async throws {
        let gateway = try await SharedGateways.withoutLimits([
            "connections.max": "20", "connections.max_sockets": "20", "tls.handshake_timeout": "1s",
        ])
        var silent: [TestSocket] = []
        for _ in 0..<40 { silent.append(try await TestSocket.connect(port: gateway.port, .none)) }
        try await gateway.expectNextClientServed()
        for socket in silent { await socket.close() }
        try await gateway.expectNextClientServed()
    }

    @Test func `a rejection that isn't read occupies a socket for only one second`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["connections.max": "1", "connections.max_sockets": "1"])
        let socket = try await TestSocket.connect(port: gateway.port)
        try await socket.pauseReading()
        try await socket.send(Array("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
        // The socket counts against max_sockets, so the next client waits in the backlog until it is closed.
        try await gateway.expectNextClientServed()
        await socket.close()
    }

    @Test func `hundreds of short connections leave no socket behind`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        for _ in 0..<10 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<30 {
                    group.addTask {
                        let socket = try await TestSocket.connect(port: gateway.port, index % 3 == 0 ? .none : .unverified)
                        if index % 2 == 0 { await socket.reset() } else { await socket.close() }
                    }
                }
                try await group.waitForAll()
            }
        }
        try await gateway.expectNextClientServed()
    }

    // MARK: Frames

    @Test func `an endless message in fragments of one byte closes with 1009`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.client()
        var sent = TestFrame(TestFrame.text, text: "a").with { $0.isFinal = false }.bytes
        for _ in 0..<1024 { sent += TestFrame(TestFrame.continuation, text: "a").with { $0.isFinal = false }.bytes }
        try await client.socket.send(sent)
        try await client.expectFatalError("message_too_large", 1009)
        try await gateway.expectNextClientServed()
    }

    @Test(arguments: [TestFrame.text, TestFrame.binary])
    func `a length of 2 to the power of 63 or more is rejected from the header`(opcode: UInt8) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        for (top, code) in [(0x7F, 1009), (0x80, 1002), (0xFF, 1002)] as [(UInt8, UInt16)] {
            let client = try await gateway.client()
            try await client.socket.send([0x80 | opcode, 0xFF, top] + [UInt8](repeating: 0xFF, count: 7) + [1, 2, 3, 4])
            if code == 1009 { try await client.expectFatalError("message_too_large", code) } else { try await client.expectClose(code) }
        }
        try await gateway.expectNextClientServed()
    }

    @Test(arguments: [1, 7, 1000])
    func `a decompression bomb in fragments closes with 1009 at the message limit`(size: Int) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.client(.upgrade(adding: [("Sec-WebSocket-Extensions", "permessage-deflate")]))
        // A literal in fixed Huffman codes, repeated by matches of the maximum length.
        let bomb = DeflateBomb.bytes(count: 2_000_001)
        var sent: [UInt8] = []
        for (index, start) in stride(from: 0, to: bomb.count, by: max(size, bomb.count / 1000)).enumerated() {
            let end = min(bomb.count, start + max(size, bomb.count / 1000))
            sent +=
                TestFrame(index == 0 ? TestFrame.text : TestFrame.continuation, Array(bomb[start..<end])).with {
                    $0.isFinal = end == bomb.count
                    $0.reserved = index == 0 ? 4 : 0
                }.bytes
        }
        try await client.socket.send(sent)
        try await client.expectFatalError("message_too_large", 1009)
        try await gateway.expectNextClientServed()
    }

    // MARK: The log and the responses

    /// Characters that end a line, change a terminal's colors, or reverse the direction of text.
    private static let hostileText = "x\u{1B}[31m\u{7}\u{202E}\u{85}y"

    @Test(arguments: [
        "User-Agent", "Origin", "X-Forwarded-For", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Cookie", "Authorization",
    ])
    func `no header field of a request injects anything into the log or the response`(field: String) async throws {
        let gateway = try await GatewayProcess(["logging.level": "trace", "http.allowed_origins": "https://app.example"])
        for target in ["/v1/ws", "/v1/ws?token=a%0d%0aX-Injected:%20yes", "/v1/%0d%0a%1b[31m", "/v1/\u{1B}[31m"] {
            var request = HTTPRequestText.upgrade(target)
            request[field] = Self.hostileText
            let socket = try await TestSocket.connect(port: gateway.port)
            try await socket.send(request.bytes)
            let response = try await socket.receiveResponse()
            #expect(response["X-Injected"] == nil)
            #expect(!response.fields.contains { $0.value.contains("\u{1B}") })
            await socket.close()
        }
        try await gateway.expectNextClientServed()
        // Each line is JSON without raw control characters or bidirectional overrides.
        #expect(try !gateway.log().isEmpty)
        for line in gateway.process.lines {
            #expect(!line.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) || $0.value == 0x202E }, "\(line)")
        }
        try await gateway.stop()
    }

    @Test(arguments: ["\r\nX-Injected: yes", "\rX-Injected: yes", "\nX-Injected: yes", "\u{0}"])
    func `line breaks in a subprotocol inject nothing into the response`(tail: String) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port)
        try await socket.send(HTTPRequestText.upgrade(adding: [("Sec-WebSocket-Protocol", "parley.v1" + tail)]).bytes)
        let response = try await socket.receiveResponse()
        #expect(response["X-Injected"] == nil)
        #expect([101, 400].contains(response.status))
        await socket.close()
        try await gateway.expectNextClientServed()
    }

    @Test func `control characters in ids and keys are escaped in errors and in the log`() async throws {
        let gateway = try await GatewayProcess(["logging.level": "trace"])
        let client = try await gateway.client()
        try await client.send(#"{"type":"text","id":"a\r\n\u001b[31m","text":"x"}"#)
        _ = try await client.error("invalid_message")
        try await client.send(#"{"type":"text","id":"b","text":"x","\r\n\u001b[31m":1}"#)
        _ = try await client.error("invalid_message")
        try await client.expectServed()
        #expect(try !gateway.log().isEmpty)
        #expect(!gateway.process.lines.contains { $0.contains("\u{1B}") || $0.contains("\r") })
        try await gateway.stop()
    }
}
