// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Support
import Testing

/// RFC 7692: permessage-deflate by offer and message size.
extension ConformanceTests {
    private static let noTakeover = "server_no_context_takeover; client_no_context_takeover"

    /// Offers and the negotiated parameters in the modes `shared` and `dedicated`.
    private static let offers: [(offer: String, shared: String, dedicated: String)] =
        [
            ("", noTakeover, ""), ("client_max_window_bits", noTakeover, ""),
            ("server_no_context_takeover", noTakeover, "server_no_context_takeover"),
            ("client_no_context_takeover", noTakeover, "client_no_context_takeover"),
            ("client_no_context_takeover; server_no_context_takeover", noTakeover, noTakeover),
            (
                "server_no_context_takeover; server_max_window_bits=9", noTakeover + "; server_max_window_bits=9",
                "server_no_context_takeover; server_max_window_bits=9"
            ),
            (
                "server_no_context_takeover; server_max_window_bits=15; client_max_window_bits=9",
                noTakeover + "; server_max_window_bits=15",
                "server_no_context_takeover; server_max_window_bits=15; client_max_window_bits=9"
            ),
        ]
        + (9...15).map { ("server_max_window_bits=\($0)", noTakeover + "; server_max_window_bits=\($0)", "server_max_window_bits=\($0)") }
        + (9...15).map { ("client_max_window_bits=\($0)", noTakeover, "client_max_window_bits=\($0)") }

    private static func list(_ parameters: String) -> String {
        parameters.isEmpty ? "permessage-deflate" : "permessage-deflate; \(parameters)"
    }

    /// Payloads by size: a text, and binary data with near and distant repetitions.
    private static let payloads: [Int: [[UInt8]]] = Dictionary(
        uniqueKeysWithValues: [0, 1, 64, 256, 300, 2048, 4096, 8192, 65_535, 65_536, 131_072].map { count in
            let words = (0..<40).map { [UInt8].noise(24, seed: $0).map { 0x61 + $0 % 26 } }
            var generator = SplitMix64(state: UInt64(count))
            var mixed: [UInt8] = []
            while mixed.count < count { mixed += words.randomElement(using: &generator) ?? [0x20] }
            let noise = [UInt8].noise(count / 2, seed: UInt64(count))
            return (count, [text(count), Array(mixed.prefix(count)), noise + noise])
        })

    /// Sends each payload compressed and uncompressed and compares the echo.
    private func exchange(_ counts: [Int], offer: String, mode: CompressionMode, agreed: String) throws {
        let client = try EchoClient(.echoing(mode), offer: offer)
        #expect(client.agreed == Self.list(agreed))
        let deflater = MessageDeflater(
            windowBits: client.parameter("client_max_window_bits") ?? 15, keepsContext: !agreed.contains("client_no_context_takeover"))
        for count in counts {
            for (index, payload) in try #require(Self.payloads[count]).enumerated() {
                let opcode: UInt8 = index == 0 ? 1 : 2
                let message: EchoOutput.Message = index == 0 ? .text(payload) : .binary(payload)
                try client.send(FrameBytes.zeroMasked(0xC0 | opcode, try deflater.deflate(payload)))
                let first = try client.replies()
                #expect(first == .echo(message), "\(count) bytes, payload \(index)")
                guard count <= 4096 else { continue }
                // Once more, possibly referring to the first message, and once uncompressed.
                try client.send(FrameBytes.zeroMasked(0xC0 | opcode, try deflater.deflate(payload)))
                try client.send(FrameBytes.zeroMasked(0x80 | opcode, payload))
                let others = try client.replies()
                #expect(others == .echo(message, message), "\(count) bytes, payload \(index)")
            }
        }
        // Messages above the threshold are echoed compressed.
        #expect(client.compressed.contains(true))
    }

    @Test(arguments: offers, [CompressionMode.shared, .dedicated])
    func `RFC 7692 §7.1 with each offer, messages of many sizes are echoed`(
        offer: (offer: String, shared: String, dedicated: String), mode: CompressionMode
    ) throws {
        let agreed = mode == .shared ? offer.shared : offer.dedicated
        try exchange([0, 1, 64, 300, 2048], offer: Self.list(offer.offer), mode: mode, agreed: agreed)
    }

    @Test(arguments: [256, 4096, 8192, 65_535, 65_536, 131_072], [CompressionMode.shared, .dedicated])
    func `RFC 7692 §7.2 messages of any size are echoed`(count: Int, mode: CompressionMode) throws {
        try exchange([count], offer: "permessage-deflate", mode: mode, agreed: mode == .shared ? Self.noTakeover : "")
    }

    @Test(arguments: [CompressionMode.shared, .dedicated])
    func `RFC 7692 §5.1 the first supported offer is accepted`(mode: CompressionMode) throws {
        let noTakeover = mode == .shared ? Self.noTakeover + "; " : ""
        let offers = [
            (
                "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10",
                noTakeover + "server_max_window_bits=10"
            ),
            (
                "permessage-deflate; unheard_of, x-other; a=b, permessage-deflate; server_max_window_bits=12",
                noTakeover + "server_max_window_bits=12"
            ),
            (
                "permessage-deflate; server_max_window_bits=16, permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
                (mode == .shared ? noTakeover : "server_no_context_takeover; ") + "server_max_window_bits=9"
            ),
        ]
        for (offer, agreed) in offers { try exchange([64, 2048], offer: offer, mode: mode, agreed: agreed) }
    }

    @Test(arguments: [
        "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=16", "x-webkit-deflate-frame",
    ])
    func `RFC 7692 §5.1 without an accepted offer RSV1 is rejected`(offer: String) throws {
        let harness = LoopHarness.echoing(.shared)
        #expect(try EchoClient(harness, offer: offer).agreed == nil)
        try check(FrameBytes.text("plain"), .echo(.text("plain")), on: harness, offer: offer)
        try check(FrameBytes.frame(0xC1, [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]), .closed(1002), on: harness, offer: offer)
    }

    @Test(arguments: [CompressionMode.shared, .dedicated], [1, 3, 100, 1000])
    func `RFC 7692 §6.1 a compressed message may be fragmented with pings between`(mode: CompressionMode, size: Int) throws {
        let text = Self.text(3000)
        let deflater = MessageDeflater(windowBits: 15, keepsContext: false)
        let compressed = try deflater.deflate(text)
        let pieces = compressed.pieces(of: size)
        var bytes: [UInt8] = []
        for (index, piece) in pieces.enumerated() {
            bytes += FrameBytes.frame((index == pieces.count - 1 ? 0x80 : 0) | (index == 0 ? 0x41 : 0), piece) + FrameBytes.ping([])
        }
        let expected = EchoOutput(messages: [.text(text)], pongs: Array(repeating: [], count: pieces.count))
        try check(bytes, expected, pieces: [1000, 7], on: .echoing(mode), offer: "permessage-deflate")
    }

    @Test(arguments: [CompressionMode.shared, .dedicated])
    func `RFC 7692 §6 reserved bits, DEFLATE and UTF-8 are validated, and the loop serves the next client`(mode: CompressionMode) throws {
        let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        let first = FrameBytes.frame(0xC1, hello)
        let cases: [(bytes: [UInt8], code: UInt16)] = [
            (FrameBytes.frame(0xC9, []), 1002), (FrameBytes.frame(0xCA, []), 1002), (FrameBytes.frame(0xC8, []), 1002),
            (FrameBytes.frame(0xA1, hello), 1002), (FrameBytes.frame(0xE1, hello), 1002), (FrameBytes.frame(0x91, hello), 1002),
            (FrameBytes.frame(0x41, [0xF2]) + FrameBytes.frame(0xC0, [0x48]), 1002),
            (FrameBytes.frame(0x01, [0x61]) + FrameBytes.frame(0xC0, [0x62]), 1002),
            (FrameBytes.frame(0xC1, [0xFF, 0xFF]), 1007), (FrameBytes.frame(0xC2, [0x00, 0x05, 0x00, 0x00, 0x00]), 1007),
            (FrameBytes.frame(0xC1, Array(hello.prefix(3))), 1007),
            (FrameBytes.frame(0xC1, [0x00, 0x02, 0x00, 0xFD, 0xFF, 0xC3, 0x28, 0x00]), 1007),
            (FrameBytes.frame(0xC1, [0x00, 0x01, 0x00, 0xFE, 0xFF, 0xE2, 0x00]), 1007),
        ]
        let harness = LoopHarness.echoing(mode)
        for (bytes, code) in cases {
            try check(first + bytes + FrameBytes.ping(), .closed(code, after: [.text("Hello")]), on: harness, offer: "permessage-deflate")
        }
    }

    @Test func `RFC 7692 §7.1.2.2 messages of a client with a window of 256 bytes are inflated`() throws {
        let offer = "permessage-deflate; client_max_window_bits=8"
        let client = try EchoClient(.echoing(.dedicated), offer: offer)
        #expect(client.agreed == offer)
        // All back-references have a distance of one byte.
        let spaces = [UInt8](repeating: 0x20, count: 258 * 40 + 1)
        for _ in 0..<3 { try client.send(FrameBytes.frame(0xC1, DeflateBomb.bytes(count: 258 * 39))) }
        #expect(try client.replies() == .echo(.text(spaces), .text(spaces), .text(spaces)))
    }
}
