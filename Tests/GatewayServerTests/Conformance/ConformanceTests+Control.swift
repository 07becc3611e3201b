// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// RFC 6455 §5.5.2 and §5.5.3: pings and pongs.
extension ConformanceTests {
    @Test func `§5.5.2 a ping of each size gets a pong with its payload`() throws {
        let client = try EchoClient(.echoing())
        for count in 0...125 {
            let payload = [UInt8].noise(count, seed: UInt64(count))
            try client.send(FrameBytes.ping(payload))
            #expect(try client.replies() == EchoOutput(pongs: [payload]), "\(count) bytes")
        }
    }

    @Test(arguments: [[], Array("Hello".utf8), [0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF], [UInt8](repeating: 0xFE, count: 125)])
    func `§5.5.2 a ping may have any payload and be split`(payload: [UInt8]) throws {
        try check(FrameBytes.ping(payload), EchoOutput(pongs: [payload]), pieces: [.max, 1, 2, 7])
    }

    @Test(arguments: [0x88, 0x89, 0x8A] as [UInt8], [126, 127, 65_535, 65_536])
    func `§5.5 a control frame of more than 125 bytes is rejected at its header`(first: UInt8, count: Int) throws {
        try check(FrameBytes.head(first, count: UInt64(count)), .closed(1002))
        try check(FrameBytes.head(first, count: UInt64(count)).prefix(2) + [], .closed(1002))
    }

    @Test(arguments: [0, 1, 8, 125])
    func `§5.5.3 unsolicited pongs are ignored, pings after them get pongs`(count: Int) throws {
        let pong = FrameBytes.pong(.noise(count, seed: 3))
        try check(pong, EchoOutput())
        try check(pong + pong + FrameBytes.ping([1]) + pong, EchoOutput(pongs: [[1]]))
        try check(FrameBytes.text("a") + pong + FrameBytes.text("b"), .echo(.text("a"), .text("b")))
    }

    @Test(arguments: [Int.max, 1, 3, 64])
    func `§5.5.3 ten pings get ten pongs in order`(size: Int) throws {
        let payloads = (0..<10).map { Array("ping \($0)".utf8) }
        try check(payloads.flatMap { FrameBytes.ping($0) }, EchoOutput(pongs: payloads), pieces: [size])
    }

    @Test func `§5.5.2 pings between messages get pongs, and the messages are echoed in order`() throws {
        var bytes: [UInt8] = []
        var expected = EchoOutput()
        for number in 0..<8 as Range<UInt8> {
            bytes += FrameBytes.text("message \(number)") + FrameBytes.ping([number]) + FrameBytes.binary([number, number])
            expected.messages += [.text("message \(number)"), .binary([number, number])]
            expected.pongs.append([number])
        }
        try check(bytes, expected, pieces: [.max, 1, 2, 3, 5, 11])
    }
}
