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

    @Test(arguments: good) func `§7.4 a code that may be sent comes back`(code: UInt16) throws {
        let harness = LoopHarness.echoing()
        for reason in [[], Self.text(123)] {
            try check(FrameBytes.close(code, reason), EchoAnswer(close: .code(code)), pieces: [5], on: harness)
        }
    }

    @Test(arguments: bad) func `§7.4 a code that must not be sent is a protocol error`(code: UInt16) throws {
        let harness = LoopHarness.echoing()
        for reason in [[], Array("ciao".utf8)] { try check(FrameBytes.close(code, reason), .closed(1002), pieces: [5], on: harness) }
    }

    @Test func `§5.5.1 a close frame is empty or has a code`() throws {
        try check(FrameBytes.frame(0x88, []), EchoAnswer(close: .empty))
        for byte in [0x00, 0x03, 0xFF] as [UInt8] { try check(FrameBytes.frame(0x88, [byte]), .closed(1002)) }
    }

    @Test func `§5.5.1 a reason has up to 123 bytes`() throws {
        let harness = LoopHarness.echoing()
        for count in [1, 2, 122, 123] {
            try check(FrameBytes.close(1000, Self.text(count)), EchoAnswer(close: .code(1000)), on: harness)
        }
        for count in [124, 125, 1000] { try check(FrameBytes.close(1000, Self.text(count)), .closed(1002), on: harness) }
    }

    @Test(arguments: UTF8Samples.invalid)
    func `§5.5.1 a reason that isn't UTF-8 is refused as a text that isn't`(bytes: [UInt8]) throws {
        let client = try EchoClient(.echoing())
        try client.send(FrameBytes.close(1000, Array("Grüße ".utf8) + bytes), pieces: 9)
        #expect(try client.replies() == .closed(1007))
    }

    @Test(arguments: [
        Case("a message before", FrameBytes.text("a") + FrameBytes.close(1000), EchoAnswer(messages: [.text("a")], close: .code(1000))),
        Case("a second close", FrameBytes.close(1000) + FrameBytes.close(1001), EchoAnswer(close: .code(1000))),
        Case("a bad second close", FrameBytes.close(1000) + FrameBytes.close(999), EchoAnswer(close: .code(1000))),
        Case("a ping behind", FrameBytes.close(1000) + FrameBytes.ping([1]), EchoAnswer(close: .code(1000))),
        Case("a text behind", FrameBytes.close(1000) + FrameBytes.text("late"), EchoAnswer(close: .code(1000))),
        Case("rubbish behind", FrameBytes.close(4000) + [0xFF, 0xFF, 0xFF], EchoAnswer(close: .code(4000))),
        Case("a text behind an empty close", FrameBytes.frame(0x88, []) + FrameBytes.text("late"), EchoAnswer(close: .empty)),
        Case("a text behind a bad close", FrameBytes.close(1005) + FrameBytes.text("late"), .closed(1002)),
        Case(
            "fragments around", FrameBytes.text("a", fin: false) + FrameBytes.close(1000) + FrameBytes.continuation([0x62], fin: true),
            EchoAnswer(close: .code(1000))),
        Case(
            "a ping before", FrameBytes.ping([1]) + FrameBytes.close(1000), EchoAnswer(pongs: [[1]], close: .code(1000))),
        Case("half of a frame behind", FrameBytes.close(1000) + FrameBytes.text("late").prefix(3), EchoAnswer(close: .code(1000))),
    ])
    func `§7.1 nothing behind a close frame is read, and all before it is answered`(example: Case) throws {
        try check(example, pieces: [.max, 1, 2, 3, 8])
    }

    @Test func `§7.1.2 a message of 256 KiB is echoed before the close behind it`() throws {
        let data = [UInt8].noise(256 * 1024, seed: 8)
        let bytes = FrameBytes.zeroMasked(0x82, data) + FrameBytes.close(1000) + FrameBytes.ping([1])
        try check(bytes, EchoAnswer(messages: [.binary(data)], close: .code(1000)), pieces: [.max, 16_384])
    }
}
