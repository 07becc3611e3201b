// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// The WebSocket layer over TLS (RFC 6455 §5 and §7) with invalid and unusual frames.
@Suite(.bounded) struct FramingTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var frames: [TestFrame]
        var code: UInt16

        init(_ description: String, _ frames: [TestFrame], _ code: UInt16 = 1002) {
            testDescription = description
            self.frames = frames
            self.code = code
        }
    }

    static let ping = TestFrame(TestFrame.text, text: #"{"type":"ping"}"#)

    static let broken: [Case] = [
        Case("unmasked text", [ping.with { $0.mask = nil }]),
        Case("unmasked ping", [TestFrame(TestFrame.ping).with { $0.mask = nil }]),
        Case("RSV1 without compression", [ping.with { $0.reserved = 4 }]),
        Case("RSV2", [ping.with { $0.reserved = 2 }]),
        Case("RSV3", [ping.with { $0.reserved = 1 }]),
        Case("RSV1 on a control frame", [TestFrame(TestFrame.ping).with { $0.reserved = 4 }]),
        Case("opcode 3", [TestFrame(3, text: "x")]),
        Case("opcode 7", [TestFrame(7)]),
        Case("opcode 11", [TestFrame(11)]),
        Case("opcode 15", [TestFrame(15)]),
        Case("a 16-bit length that fits in 7", [ping.with { $0.lengthForm = .sixteenBits }]),
        Case("a 64-bit length that fits in 16", [ping.with { $0.lengthForm = .sixtyFourBits }]),
        Case(
            "a length of 2^63",
            [
                ping.with {
                    $0.declaredLength = 1 << 63; $0.lengthForm = .sixtyFourBits
                }
            ]),
        Case(
            "a length of 2^64 - 1",
            [
                ping.with {
                    $0.declaredLength = .max; $0.lengthForm = .sixtyFourBits
                }
            ]),
        Case("a ping of 126 bytes", [TestFrame(TestFrame.ping, [UInt8](repeating: 0, count: 126))]),
        Case("a close of 126 bytes", [TestFrame.close(1000, [UInt8](repeating: 0x61, count: 124))]),
        Case("a fragmented ping", [TestFrame(TestFrame.ping).with { $0.isFinal = false }]),
        Case("a fragmented close", [TestFrame.close(1000).with { $0.isFinal = false }]),
        Case("a continuation without a start", [TestFrame(TestFrame.continuation, text: "x")]),
        Case("a last continuation without a start", [TestFrame(TestFrame.continuation).with { $0.isFinal = false }]),
        Case("text inside a fragmented message", [ping.with { $0.isFinal = false }, ping]),
        Case("binary inside a fragmented message", [ping.with { $0.isFinal = false }, TestFrame(TestFrame.binary)]),
        Case("a close payload of one byte", [TestFrame(TestFrame.close, [3])]),
        Case("close 0", [.close(0)]), Case("close 999", [.close(999)]), Case("close 1004", [.close(1004)]),
        Case("close 1005", [.close(1005)]),
        Case("close 1006", [.close(1006)]), Case("close 1015", [.close(1015)]), Case("close 1016", [.close(1016)]),
        Case("close 2999", [.close(2999)]), Case("close 5000", [.close(5000)]), Case("close 65535", [.close(65535)]),
        Case("a close reason that isn't UTF-8", [.close(1000, [0xC3])], 1007),
        Case("text that isn't UTF-8", [TestFrame(TestFrame.text, [0x22, 0xFF, 0x22])], 1007),
        Case("text with an overlong slash", [TestFrame(TestFrame.text, [0xC0, 0xAF])], 1007),
        Case("text with a surrogate", [TestFrame(TestFrame.text, [0xED, 0xA0, 0x80])], 1007),
        Case("text beyond U+10FFFF", [TestFrame(TestFrame.text, [0xF4, 0x90, 0x80, 0x80])], 1007),
        Case("text that ends inside a character", [TestFrame(TestFrame.text, [0xE2, 0x82])], 1007),
        Case(
            "text that ends inside a character, in fragments",
            [TestFrame(TestFrame.text, [0xE2]).with { $0.isFinal = false }, TestFrame(TestFrame.continuation, [0x82])], 1007),
    ]

    @Test(arguments: broken)
    func `an invalid frame closes the connection with its code, and the next client is served`(_ broken: Case) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.client()
        try await client.expectServed()
        try await client.socket.send(broken.frames.flatMap(\.bytes))
        try await client.expectClose(broken.code)
        try await gateway.client().expectServed()
    }

    @Test(arguments: [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] as [UInt16])
    func `a close frame is echoed with its code`(code: UInt16) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(.close(code, Array("good bye".utf8)))
        #expect(try await client.next() == .close(code: code, reason: ""))
        try await client.socket.waitForEnd()
    }

    @Test func `an empty close frame is echoed empty`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(TestFrame(TestFrame.close))
        #expect(try await client.next() == .close(code: nil, reason: ""))
        try await client.socket.waitForEnd()
    }

    @Test func `bytes after a close frame are ignored`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.socket.send(TestFrame.close(1000).bytes + Self.ping.bytes + [0xFF, 0xFF])
        #expect(try await client.next() == .close(code: 1000, reason: ""))
        try await client.socket.waitForEnd()
    }

    @Test func `responses to messages before the close frame are sent before the reply to it`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.socket.send(Self.ping.bytes + TestFrame.close(1000).bytes)
        _ = try await client.message("pong")
        #expect(try await client.next() == .close(code: 1000, reason: ""))
    }

    @Test(arguments: [1, 2, 3, 7])
    func `a fragmented text with interleaved pings is reassembled, even with split characters`(size: Int) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let bytes = Array(#"{"type":"text","id":"f","text":"žluťoučký 🐎 𝄞"}"#.utf8)
        var sent: [UInt8] = []
        var pings: [[UInt8]] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = Array(bytes[start..<min(start + size, bytes.count)])
            let frame = TestFrame(start == 0 ? TestFrame.text : TestFrame.continuation, piece)
            sent += frame.with { $0.isFinal = start + size >= bytes.count }.bytes
            if start % 10 == 0, start + size < bytes.count {
                pings.append([UInt8(start)])
                sent += TestFrame(TestFrame.ping, [UInt8(start)]).bytes
            }
        }
        try await client.socket.send(sent)
        for ping in pings { #expect(try await client.next() == .pong(ping)) }
        #expect(try await client.message() == ["type": "ack", "id": "f"])
        #expect(try await client.message("text")["text"] == "žluťoučký 🐎 𝄞")
    }

    @Test func `a frame that arrives byte by byte is accepted`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        for byte in TestFrame(TestFrame.text, text: #"{"type":"text","id":"f","text":"ü"}"#).bytes { try await client.socket.send([byte]) }
        #expect(try await client.message() == ["type": "ack", "id": "f"])
    }

    @Test func `empty fragments are accepted`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let start = TestFrame(TestFrame.text).with { $0.isFinal = false }
        let middle = TestFrame(TestFrame.continuation, text: #"{"type":"ping"}"#).with { $0.isFinal = false }
        try await client.socket.send(start.bytes + middle.bytes + TestFrame(TestFrame.continuation).bytes)
        _ = try await client.message("pong")
    }

    @Test func `invalid UTF-8 is rejected before the message is complete`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(TestFrame(TestFrame.text, [0x7B, 0xFF]).with { $0.isFinal = false })
        try await client.expectClose(1007)
    }

    @Test func `invalid UTF-8 is rejected before the frame is complete`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let frame = TestFrame(TestFrame.text, [0x7B, 0xFF] + [UInt8](repeating: 0x61, count: 5000))
        try await client.socket.send(frame.bytes.prefix(100))
        try await client.expectClose(1007)
    }

    @Test func `a message over the limit is rejected from its header alone`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["websocket.max_message_bytes": "100KB"])
        let client = try await gateway.client()
        try await client.socket.send(TestFrame(TestFrame.binary).with { $0.declaredLength = 100_001 }.header)
        try await client.expectFatalError("message_too_large", 1009)
        try await gateway.client().expectServed()
    }

    @Test func `the sum of the fragments is bound by the message limit`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["websocket.max_message_bytes": "100KB"])
        let client = try await gateway.client()
        let half = TestFrame(TestFrame.binary, [UInt8](repeating: 0, count: 50_000)).with { $0.isFinal = false }
        try await client.send(half)
        try await client.socket.send(TestFrame(TestFrame.continuation).with { $0.declaredLength = 50_001 }.header)
        try await client.expectFatalError("message_too_large", 1009)
    }

    @Test func `a message at the limit is accepted`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["websocket.max_message_bytes": "100KB"])
        let client = try await gateway.client()
        try await client.send(binary: [UInt8](repeating: 0, count: 100_000))
        _ = try await client.error("invalid_audio")
        try await client.expectServed()
    }

    @Test(arguments: [8, 9])
    func `a message of more than max_fragments fragments closes with 1009`(fragments: Int) async throws {
        let gateway = try await SharedGateways.withoutLimits(["websocket.max_fragments": "8"])
        let client = try await gateway.client()
        let body = Array(#"{"type":"ping"}"#.utf8)
        var sent = TestFrame(TestFrame.text, body).with { $0.isFinal = false }.bytes
        for _ in 1..<(fragments - 1) { sent += TestFrame(TestFrame.continuation).with { $0.isFinal = false }.bytes }
        sent += TestFrame(TestFrame.continuation).bytes
        try await client.socket.send(sent)
        if fragments == 8 { _ = try await client.message("pong") } else { try await client.expectFatalError("message_too_large", 1009) }
        try await gateway.client().expectServed()
    }

    @Test func `a flood of empty fragments closes with 1009 at the limit`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.client()
        var sent = TestFrame(TestFrame.text).with { $0.isFinal = false }.bytes
        for _ in 0..<1024 { sent += TestFrame(TestFrame.continuation).with { $0.isFinal = false }.bytes }
        try await client.socket.send(sent)
        try await client.expectFatalError("message_too_large", 1009)
    }

    @Test func `each ping gets a pong with its payload`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        for count in [0, 1, 125] {
            let payload = (0..<count).map { UInt8($0) }
            try await client.send(TestFrame(TestFrame.ping, payload))
            #expect(try await client.next() == .pong(payload))
        }
        try await client.send(TestFrame(TestFrame.pong, [1, 2, 3]))
        try await client.expectServed()
    }

    @Test func `a flood of pings gets a bounded number of pongs, and always one for the newest`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.socket.pauseReading()
        var flood: [UInt8] = []
        for number in 0..<20_000 {
            flood += TestFrame(TestFrame.ping, [UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)] + [UInt8](repeating: 0, count: 100)).bytes
        }
        client.socket.push(flood)
        try await client.socket.send(Self.ping.bytes)
        try await client.socket.resumeReading()
        var pongs = 0
        var newest: [UInt8] = []
        var served = false
        while !served {
            switch try await client.next() {
            case .pong(let payload):
                pongs += 1
                newest = payload
            case .text: served = true
            case let other: Issue.record("\(other)")
            }
        }
        // The pong of the newest ping may arrive after the text.
        if newest.prefix(2) != [0x4E, 0x1F] {
            if case .pong(let payload) = try await client.next() { newest = payload }
        }
        #expect(Array(newest.prefix(2)) == [0x4E, 0x1F])
        #expect(pongs <= 20_000)
        try await client.expectServed()
    }

    @Test func `status reports the buffered bytes of a partial frame header`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let status = TestFrame(TestFrame.text, text: #"{"type":"status"}"#).bytes
        // The pong shows that the gateway has read the record.
        try await client.socket.send(Self.ping.bytes + status[..<5])
        _ = try await client.message("pong")
        try await client.socket.send(status[5...])
        let report = try await client.message("status")["memory"]
        #expect(report["receive_buffer"] == 5)
        let parts = report.without("total", "budget").object?.values.compactMap(\.integer).reduce(0, +)
        #expect(parts == report["total"].integer)
        try await client.send(["type": "status"])
        #expect(try await client.message("status")["memory"]["receive_buffer"] == 0)
    }
}
