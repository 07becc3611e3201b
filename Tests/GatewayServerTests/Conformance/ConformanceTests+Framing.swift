// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// RFC 6455 §5.2: length encodings, masks, reserved bits and opcodes.
extension ConformanceTests {
    private static let lengths = [0, 1, 2, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536]

    private func sizes(for count: Int) -> [Int] { count < 200 ? [.max, 1, 5] : [.max, 997, 4096] }

    @Test(arguments: lengths)
    func `§5.2 a text with each length encoding is echoed`(count: Int) throws {
        let text = Self.text(count)
        try check(FrameBytes.frame(0x81, text), .echo(.text(text)), pieces: sizes(for: count))
    }

    @Test(arguments: lengths)
    func `§5.2 binary data with each length encoding is echoed`(count: Int) throws {
        let data = [UInt8].noise(count, seed: UInt64(count))
        try check(FrameBytes.frame(0x82, data), .echo(.binary(data)), pieces: sizes(for: count))
    }

    @Test(arguments: [0x00, 0xFE, 0xFF] as [UInt8], [1, 125, 126, 300])
    func `§5.6 binary data isn't validated`(byte: UInt8, count: Int) throws {
        let data = [UInt8](repeating: byte, count: count)
        try check(FrameBytes.frame(0x82, data), .echo(.binary(data)))
    }

    @Test func `§5.2 a header may be split anywhere`() throws {
        let harness = LoopHarness.echoing()
        for count in [3, 126, 65_536] {
            let data = [UInt8].noise(count, seed: 1)
            let frame = FrameBytes.binary(data)
            for cut in 1...15 {
                let client = try EchoClient(harness)
                try client.send(Array(frame[..<min(cut, frame.count)]))
                try client.send(Array(frame.dropFirst(cut)))
                #expect(try client.replies() == .echo(.binary(data)), "\(count) bytes, cut at \(cut)")
            }
        }
    }

    @Test(arguments: [
        Case("125 bytes in 16 bits", FrameBytes.frame(0x82, .noise(125, seed: 1), lengthBytes: 2), .closed(1002)),
        Case("none in 64 bits", FrameBytes.frame(0x81, [], lengthBytes: 8), .closed(1002)),
        Case("65,535 in 64 bits", FrameBytes.head(0x82, count: 65_535, lengthBytes: 8), .closed(1002)),
        Case("2^63 bytes", FrameBytes.head(0x82, count: 1 << 63), .closed(1002)),
        Case("2^64 - 1 bytes", FrameBytes.head(0x82, count: .max), .closed(1002)),
        Case("text without a mask", FrameBytes.frame(0x81, [0x61], masked: false), .closed(1002)),
        Case("an empty ping without a mask", FrameBytes.frame(0x89, [], masked: false), .closed(1002)),
        Case("a close without a mask", FrameBytes.frame(0x88, [0x03, 0xE8], masked: false), .closed(1002)),
    ])
    func `§5.1 and §5.2 unmasked frames and invalid lengths are rejected`(example: Case) throws {
        try check(example)
        try check(
            FrameBytes.text("before") + example.bytes + FrameBytes.ping(),
            EchoOutput(messages: [.text("before")], close: example.output.close))
    }

    @Test(arguments: 1...7 as ClosedRange<UInt8>, [0x1, 0x2, 0x8, 0x9, 0xA] as [UInt8])
    func `§5.2 reserved bits without an extension are rejected, and later bytes are ignored`(bits: UInt8, opcode: UInt8) throws {
        let payload = (bits + opcode) % 2 == 0 ? [] : Array("reserved".utf8)
        let bytes = FrameBytes.text("before") + FrameBytes.frame(0x80 | bits << 4 | opcode, payload) + FrameBytes.ping()
        try check(bytes, .closed(1002, after: [.text("before")]))
    }

    @Test(arguments: 1...7 as ClosedRange<UInt8>, [0x00, 0x80] as [UInt8])
    func `§5.2 reserved bits are rejected on continuations, too`(bits: UInt8, final: UInt8) throws {
        try check(FrameBytes.text("a", fin: false) + FrameBytes.frame(final | bits << 4, [0x62]) + FrameBytes.ping(), .closed(1002))
    }

    @Test(arguments: [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8])
    func `§5.2 reserved opcodes are rejected with any payload and at any position`(opcode: UInt8) throws {
        for payload in [[], Array("reserved".utf8)] {
            let frame = FrameBytes.frame(0x80 | opcode, payload)
            try check(frame, .closed(1002))
            try check(FrameBytes.text("before") + frame + FrameBytes.ping(), .closed(1002, after: [.text("before")]))
            try check(FrameBytes.text("open", fin: false) + frame + FrameBytes.continuation([], fin: true), .closed(1002))
        }
    }
}
