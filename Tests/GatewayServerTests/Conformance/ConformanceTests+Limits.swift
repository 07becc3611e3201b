// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import GatewayWebSocket
import Support
import Testing

/// RFC 6455 §10.4: large messages, many messages, and the size limit.
extension ConformanceTests {
    @Test(arguments: [1, 2] as [UInt8])
    func `§10.4 a message of 1 MiB is echoed, in one frame or many`(opcode: UInt8) throws {
        let data = Self.text(1 << 20)
        let client = try EchoClient(.echoing())
        let expected = EchoOutput.echo(opcode == 1 ? .text(data) : .binary(data))
        for (frame, piece) in [(1 << 20, Int.max), (65_536, 16_384)] {
            try client.send(FrameBytes.fragments(opcode, data, of: frame), pieces: piece)
            let output = try client.replies()
            #expect(output == expected, "frames of \(frame)")
        }
    }

    @Test(arguments: [64, 128, 256, 1024])
    func `§10.4 a message of 64 KiB in small fragments is echoed`(size: Int) throws {
        let data = Self.text(65_536)
        let client = try EchoClient(.echoing())
        try client.send(FrameBytes.fragments(1, data, of: size), pieces: 4096)
        #expect(try client.replies() == .echo(.text(data)))
    }

    @Test(arguments: [0, 16, 64, 256, 1024])
    func `§10.4 a hundred consecutive messages are echoed one by one`(count: Int) throws {
        let client = try EchoClient(.echoing())
        let text = Self.text(count)
        for number in 0..<100 as Range<UInt8> {
            try client.send(FrameBytes.zeroMasked(0x81, text) + FrameBytes.zeroMasked(0x82, [number]))
        }
        let expected = (0..<100 as Range<UInt8>).flatMap { [EchoOutput.Message.text(text), .binary([$0])] }
        #expect(try client.replies() == EchoOutput(messages: expected))
    }

    @Test func `§7.4.1 a message over the limit is rejected with 1009 at its header`() throws {
        let limit = UInt64(GatewaySettings.echoLimits.maxMessageBytes)
        try check(FrameBytes.head(0x82, count: limit + 1), .closed(1009))
        try check(FrameBytes.head(0x81, count: UInt64(Int.max)), .closed(1009))
        let start = FrameBytes.binary([1], fin: false)
        try check(start + FrameBytes.head(0x80, count: limit), .closed(1009))
        try check(start + FrameBytes.head(0x00, count: limit - 1), EchoOutput(), pieces: [.max])
    }
}
