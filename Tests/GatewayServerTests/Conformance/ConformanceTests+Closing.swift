// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// RFC 6455 §5.5.1 and §7: the close handshake.
extension ConformanceTests {
    private static let good: [UInt16] = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999,
    ]
    private static let bad: [UInt16] = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1099, 1100, 1999, 2000, 2001, 2998, 2999, 5000, 5001, 9999, 32_768, 65_535,
    ]

    @Test(arguments: good) func `§7.4 an allowed close code is returned in the reply`(code: UInt16) throws {
        let harness = LoopHarness.echoing()
        for reason in [[], Self.text(123)] {
            try check(FrameBytes.close(code, reason), EchoOutput(close: .code(code)), pieces: [5], on: harness)
        }
    }

    @Test(arguments: bad) func `§7.4 a close code that must not be sent is a protocol error`(code: UInt16) throws {
        let harness = LoopHarness.echoing()
        for reason in [[], Array("ciao".utf8)] { try check(FrameBytes.close(code, reason), .closed(1002), pieces: [5], on: harness) }
    }

    @Test func `§5.5.1 a close payload is empty or begins with a code`() throws {
        try check(FrameBytes.frame(0x88, []), EchoOutput(close: .empty))
        for byte in [0x00, 0x03, 0xFF] as [UInt8] { try check(FrameBytes.frame(0x88, [byte]), .closed(1002)) }
    }

    @Test func `§5.5.1 a reason has at most 123 bytes`() throws {
        let harness = LoopHarness.echoing()
        for count in [1, 2, 122, 123] {
            try check(FrameBytes.close(1000, Self.text(count)), EchoOutput(close: .code(1000)), on: harness)
        }
        for count in [124, 125, 1000] { try check(FrameBytes.close(1000, Self.text(count)), .closed(1002), on: harness) }
    }

    @Test(arguments: UTF8Samples.invalid)
    func `§5.5.1 a reason that isn't UTF-8 closes with 1007`(bytes: [UInt8]) throws {
        let client = try EchoClient(.echoing())
        try client.send(FrameBytes.close(1000, Array("Grüße ".utf8) + bytes), pieces: 9)
        #expect(try client.replies() == .closed(1007))
    }

    @Test(arguments: [
        Case("a message before", FrameBytes.text("a") + FrameBytes.close(1000), EchoOutput(messages: [.text("a")], close: .code(1000))),
        Case("a second close", FrameBytes.close(1000) + FrameBytes.close(1001), EchoOutput(close: .code(1000))),
        Case("an invalid second close", FrameBytes.close(1000) + FrameBytes.close(999), EchoOutput(close: .code(1000))),
        Case("a ping after", FrameBytes.close(1000) + FrameBytes.ping([1]), EchoOutput(close: .code(1000))),
        Case("a text after", FrameBytes.close(1000) + FrameBytes.text("late"), EchoOutput(close: .code(1000))),
        Case("garbage after", FrameBytes.close(4000) + [0xFF, 0xFF, 0xFF], EchoOutput(close: .code(4000))),
        Case("a text after an empty close", FrameBytes.frame(0x88, []) + FrameBytes.text("late"), EchoOutput(close: .empty)),
        Case("a text after an invalid close", FrameBytes.close(1005) + FrameBytes.text("late"), .closed(1002)),
        Case(
            "fragments around", FrameBytes.text("a", fin: false) + FrameBytes.close(1000) + FrameBytes.continuation([0x62], fin: true),
            EchoOutput(close: .code(1000))),
        Case(
            "a ping before", FrameBytes.ping([1]) + FrameBytes.close(1000), EchoOutput(pongs: [[1]], close: .code(1000))),
        Case("an incomplete frame after", FrameBytes.close(1000) + FrameBytes.text("late").prefix(3), EchoOutput(close: .code(1000))),
    ])
    func `§7.1 messages before a close frame are echoed, bytes after it are ignored`(example: Case) throws {
        try check(example, pieces: [.max, 1, 2, 3, 8])
    }

    @Test func `§7.1.2 a message of 256 KiB is echoed before the reply to the close frame after it`() throws {
        let data = [UInt8].noise(256 * 1024, seed: 8)
        let bytes = FrameBytes.zeroMasked(0x82, data) + FrameBytes.close(1000) + FrameBytes.ping([1])
        try check(bytes, EchoOutput(messages: [.binary(data)], close: .code(1000)), pieces: [.max, 16_384])
    }
}
