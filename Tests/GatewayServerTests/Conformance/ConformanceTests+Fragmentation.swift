// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// RFC 6455 §5.4: fragmented messages, and control frames between fragments.
extension ConformanceTests {
    private static let start = FrameBytes.text("one, ", fin: false)
    private static let middle = FrameBytes.continuation(Array("two, ".utf8), fin: false)
    private static let end = FrameBytes.continuation(Array("three".utf8), fin: true)
    private static let whole = EchoOutput.Message.text("one, two, three")

    private static let good: [Case] = [
        Case("two frames", start + end, .echo(.text("one, three"))),
        Case("three frames", start + middle + end, .echo(whole)),
        Case("a ping between", start + FrameBytes.ping([1]) + end, .echo(.text("one, three"), pongs: [[1]])),
        Case("a pong between", start + FrameBytes.pong([1]) + end, .echo(.text("one, three"))),
        Case(
            "pings around and between all frames",
            FrameBytes.ping([0]) + start + FrameBytes.ping([1]) + FrameBytes.ping([]) + middle + FrameBytes.ping([2]) + end
                + FrameBytes.ping([3]),
            .echo(whole, pongs: [[0], [1], [], [2], [3]])),
        Case(
            "the longest ping between",
            start + FrameBytes.ping(.noise(125, seed: 1)) + middle + FrameBytes.ping(.noise(125, seed: 2)) + end,
            .echo(whole, pongs: [.noise(125, seed: 1), .noise(125, seed: 2)])),
        Case("an empty message in one frame", FrameBytes.text(""), .echo(.text(""))),
        Case(
            "an empty message in three frames",
            FrameBytes.text("", fin: false) + FrameBytes.continuation([], fin: false) + FrameBytes.continuation([], fin: true),
            .echo(.text(""))),
        Case(
            "empty frames first, between and last",
            FrameBytes.text("", fin: false) + FrameBytes.continuation([], fin: false) + middle + FrameBytes.continuation([], fin: false)
                + FrameBytes.continuation(Array("three".utf8), fin: false) + FrameBytes.continuation([], fin: true),
            .echo(.text("two, three"))),
        Case(
            "binary data in three frames",
            FrameBytes.binary([0xFF, 0xC0], fin: false) + FrameBytes.continuation([], fin: false)
                + FrameBytes.continuation([0x80], fin: true),
            .echo(.binary([0xFF, 0xC0, 0x80]))),
        Case("a message after another", start + end + start + middle + end, .echo(.text("one, three"), whole)),
    ]

    private static let bad: [Case] = [
        Case("a fragmented ping", FrameBytes.frame(0x09, [1]) + FrameBytes.continuation([2], fin: true), .closed(1002)),
        Case("a fragmented pong", FrameBytes.frame(0x0A, [1]) + FrameBytes.continuation([2], fin: true), .closed(1002)),
        Case("a fragmented close", FrameBytes.frame(0x08, [0x03]) + FrameBytes.continuation([0xE8], fin: true), .closed(1002)),
        Case("a fragmented ping between frames", start + FrameBytes.frame(0x09, [1]) + end, .closed(1002)),
        Case("a last continuation first", end + FrameBytes.text("late"), .closed(1002)),
        Case("a continuation first", middle + FrameBytes.text("late"), .closed(1002)),
        Case("an empty continuation first", FrameBytes.continuation([], fin: false), .closed(1002)),
        Case("a continuation after a complete message", start + end + middle, .closed(1002, after: [.text("one, three")])),
        Case("a last continuation after a complete message", start + end + end, .closed(1002, after: [.text("one, three")])),
        Case("a continuation after a text of one frame", FrameBytes.text("a") + end, .closed(1002, after: [.text("a")])),
        Case("a continuation after a ping", FrameBytes.ping([7]) + end, .closed(1002, pongs: [[7]])),
        Case("a text inside a message", start + FrameBytes.text("new"), .closed(1002)),
        Case("a first frame inside a message", start + start + end, .closed(1002)),
        Case("binary data inside a text", start + FrameBytes.binary([1]), .closed(1002)),
        Case("a text inside binary data", FrameBytes.binary([1], fin: false) + FrameBytes.text("new"), .closed(1002)),
        Case("a text inside a message, after a ping", start + FrameBytes.ping([7]) + FrameBytes.text("new"), .closed(1002, pongs: [[7]])),
    ]

    @Test(arguments: good) func `§5.4 a message is echoed in full, however it is fragmented`(example: Case) throws {
        try check(example, pieces: [.max, 1, 2, 3, 7, 64])
    }

    @Test(arguments: bad) func `§5.4 frames in an invalid order are rejected`(example: Case) throws {
        try check(example, pieces: [.max, 1, 2, 3, 7])
    }

    @Test func `§5.4 a ping between fragments gets a pong before the message is complete`() throws {
        let client = try EchoClient(.echoing())
        try client.send(Self.start + FrameBytes.ping([1]))
        #expect(try client.replies() == EchoOutput(pongs: [[1]]))
        try client.send(Self.middle + FrameBytes.ping([2]))
        #expect(try client.replies() == EchoOutput(pongs: [[2]]))
        try client.send(Self.end)
        #expect(try client.replies() == .echo(Self.whole))
    }

    @Test func `§5.4 a text may be fragmented in three at any positions, also within characters`() throws {
        let text = Array("aé€😀ß".utf8)
        var bytes: [UInt8] = []
        var count = 0
        for first in 0...text.count {
            for second in first...text.count {
                bytes +=
                    FrameBytes.frame(0x01, Array(text[..<first])) + FrameBytes.continuation(Array(text[first..<second]), fin: false)
                    + FrameBytes.ping([]) + FrameBytes.continuation(Array(text[second...]), fin: true)
                count += 1
            }
        }
        let expected = EchoOutput(
            messages: Array(repeating: .text(text), count: count), pongs: Array(repeating: [], count: count))
        try check(bytes, expected, pieces: [.max, 1, 1000])
    }

    @Test(arguments: [1, 1300, 65_535], [1, 2] as [UInt8])
    func `§5.4 a long message in fragments of any size is echoed`(size: Int, opcode: UInt8) throws {
        let count = size == 1 ? 700 : 65_536
        let payload = opcode == 1 ? Self.text(count) : [UInt8].noise(count, seed: 4)
        try check(
            FrameBytes.fragments(opcode, payload, of: size), .echo(opcode == 1 ? .text(payload) : .binary(payload)), pieces: [.max, 997])
    }
}
