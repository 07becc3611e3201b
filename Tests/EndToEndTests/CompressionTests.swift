// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import GatewayWebSocket
import Support
import Testing

/// permessage-deflate (RFC 7692).
@Suite(.bounded) struct CompressionTests {
    private static func offer(_ value: String) -> HTTPRequestText {
        .upgrade(adding: [("Sec-WebSocket-Extensions", value)])
    }

    private static let longText = String(repeating: "All work and no play makes a dull gateway. ", count: 200)

    @Test(arguments: ["shared", "dedicated"])
    func `texts are compressed in both directions and returned unchanged`(mode: String) async throws {
        let gateway = try await SharedGateways.withoutLimits(["websocket.compression": mode])
        let client = try await gateway.webSocket(Self.offer("permessage-deflate; client_max_window_bits"))
        let agreed = try #require(client.response["sec-websocket-extensions"])
        #expect(agreed.contains("permessage-deflate"))
        #expect(agreed.contains("server_no_context_takeover") == (mode == "shared"))
        #expect(agreed.contains("client_no_context_takeover") == (mode == "shared"))
        _ = try await client.message("session")
        #expect(!client.wasCompressed)
        for round in 0..<5 {
            let text = Self.longText + "\(round)"
            let message: JSON = ["type": "text", "id": .string("c\(round)"), "text": .string(text), "stream": false]
            try await client.send(compressed: Array(message.text.utf8))
            _ = try await client.message("ack")
            #expect(!client.wasCompressed)
            #expect(try await client.message("text")["text"] == .string(text))
            #expect(client.wasCompressed)
        }
    }

    @Test func `with compression off no extension is negotiated`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["websocket.compression": "off"])
        let client = try await gateway.webSocket(Self.offer("permessage-deflate"))
        #expect(client.response["sec-websocket-extensions"] == nil)
        _ = try await client.message("session")
        try await client.send(FramingTests.ping.with { $0.reserved = 4 })
        try await client.expectClose(1002)
    }

    @Test(
        arguments: [
            ("permessage-deflate; server_max_window_bits=7", nil), ("permessage-deflate; server_max_window_bits=16", nil),
            ("permessage-deflate; server_max_window_bits", nil), ("permessage-deflate; unknown=1", nil),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", nil),
            ("permessage-deflate; server_no_context_takeover=1", nil), ("x-webkit-deflate-frame", nil),
            ("permessage-deflate; unknown=1, permessage-deflate; server_max_window_bits=10", "server_max_window_bits=10"),
            ("permessage-deflate; server_max_window_bits=\"12\"", "server_max_window_bits=12"),
            ("permessage-bzip2, permessage-deflate", "permessage-deflate"),
        ] as [(String, String?)])
    func `an offer with unsupported parameters is declined`(offer: String, agreed: String?) async throws {
        let client = try await SharedGateways.withoutLimits().webSocket(Self.offer(offer))
        let response = client.response["sec-websocket-extensions"]
        if let agreed { #expect(response?.contains(agreed) == true) } else { #expect(response == nil) }
        _ = try await client.message("session")
        try await client.expectServed()
    }

    @Test(arguments: ["permessage-deflate;;", "permessage-deflate; =1", "permessage-deflate; a=\"", "@"])
    func `a malformed offer is rejected with 400`(offer: String) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let response = try await gateway.response(to: Self.offer(offer))
        #expect(response.status == 400)
        #expect(try response.json()["code"] == "invalid_upgrade")
    }

    @Test func `a decompression bomb closes with 1009 at the message limit`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.client(Self.offer("permessage-deflate"))
        try await client.send(compressed: [UInt8](repeating: 0x20, count: 2_000_001))
        try await client.expectFatalError("message_too_large", 1009)
        try await gateway.client().expectServed()
    }

    @Test func `a compressed message at the limit is accepted`() async throws {
        let client = try await SharedGateways.withoutLimits().client(Self.offer("permessage-deflate"))
        try await client.send(compressed: [UInt8](repeating: 0x20, count: 2_000_000))
        _ = try await client.error("invalid_json")
        try await client.expectServed()
    }

    @Test(arguments: [[0xFF, 0xFF, 0xFF], [0x07], [0x00, 0x05, 0x00, 0x00, 0x00], [0x62]] as [[UInt8]])
    func `malformed DEFLATE data closes with 1007`(payload: [UInt8]) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.client(Self.offer("permessage-deflate"))
        try await client.send(TestFrame(TestFrame.text, payload).with { $0.reserved = 4 })
        try await client.expectClose(1007)
        try await gateway.client(Self.offer("permessage-deflate")).expectServed()
    }

    @Test func `RSV1 on a continuation frame closes with 1002`() async throws {
        let client = try await SharedGateways.withoutLimits().client(Self.offer("permessage-deflate"))
        // A stored block of "{}": BFINAL 0, LEN 2.
        let block: [UInt8] = [0x00, 0x02, 0x00, 0xFD, 0xFF, 0x7B, 0x7D, 0x00]
        let start = TestFrame(TestFrame.text, Array(block.prefix(4))).with {
            $0.isFinal = false; $0.reserved = 4
        }
        try await client.socket.send(start.bytes + TestFrame(TestFrame.continuation, Array(block.dropFirst(4))).bytes)
        _ = try await client.error("invalid_message")
        try await client.socket.send(
            start.bytes + TestFrame(TestFrame.continuation, Array(block.dropFirst(4))).with { $0.reserved = 4 }.bytes)
        try await client.expectClose(1002)
    }

    @Test func `invalid UTF-8 in a compressed message closes with 1007`() async throws {
        let client = try await SharedGateways.withoutLimits().client(Self.offer("permessage-deflate"))
        try await client.send(TestFrame(TestFrame.text, [0x00, 0x01, 0x00, 0xFE, 0xFF, 0xFF, 0x00]).with { $0.reserved = 4 })
        try await client.expectClose(1007)
    }

    @Test func `audio is not compressed`() async throws {
        let client = try await SharedGateways.withoutLimits().client(Self.offer("permessage-deflate"))
        let silence = [UInt8](repeating: 0, count: 3200)
        try await client.send(["type": "audio", "id": "u", "format": AudioTests.format, "meta": ["echo": "audio"]])
        _ = try await client.message("ack")
        try await client.send(compressed: silence, .binary)
        _ = try await client.messagePastAcks("audio")
        #expect(try await client.binary() == silence)
        #expect(!client.wasCompressed)
    }
}
