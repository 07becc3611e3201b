// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// RFC 6455 §5.6 and §8.1: invalid UTF-8 in texts is rejected as early as possible.
extension ConformanceTests {
    /// "κόσμε", with characters of two and three bytes.
    private static let word: [UInt8] = [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xCE, 0xBC, 0xCE, 0xB5]

    @Test func `§5.6 the first and last characters of every encoded length and noncharacters are echoed`() throws {
        var bytes: [UInt8] = []
        var messages: [EchoOutput.Message] = []
        for scalar in UTF8Samples.scalars {
            for text in ["\(scalar)", "a\(scalar)z", "é\(scalar)€\(scalar)😀"] {
                bytes += FrameBytes.text(text)
                messages.append(.text(text))
            }
        }
        try check(bytes, EchoOutput(messages: messages), pieces: [.max, 1, 23])
    }

    @Test func `§5.6 each character may be split into fragments of one byte`() throws {
        let text = Array(String(String.UnicodeScalarView(UTF8Samples.scalars)).utf8)
        try check(FrameBytes.fragments(1, text, of: 1), .echo(.text(text)), pieces: [.max, 1, 10])
    }

    @Test func `§8.1 a text that ends within a character is rejected`() throws {
        let harness = LoopHarness.echoing()
        for count in 0...Self.word.count {
            let text = Array(Self.word[..<count])
            let isWhole = String(validating: text, as: UTF8.self) != nil
            let expected = isWhole ? EchoOutput.echo(.text(text)) : .closed(1007)
            try check(FrameBytes.frame(0x81, text), expected, on: harness)
            try check(FrameBytes.fragments(1, text, of: 1), expected, on: harness)
            try check(FrameBytes.frame(0x01, text) + FrameBytes.continuation([], fin: true), expected, on: harness)
            // An incomplete text isn't rejected yet.
            try check(FrameBytes.frame(0x01, text) + FrameBytes.ping([1]), EchoOutput(pongs: [[1]]), on: harness)
        }
    }

    @Test(arguments: UTF8Samples.invalid)
    func `§8.1 invalid UTF-8 is rejected at the first invalid byte`(bytes: [UInt8]) throws {
        let harness = LoopHarness.echoing()
        let after = FrameBytes.text("before") + FrameBytes.frame(0x81, bytes) + FrameBytes.ping()
        try check(after, .closed(1007, after: [.text("before")]), pieces: [.max], on: harness)
        let text = Self.word + bytes + [0x21]
        let rejected = UTF8Samples.firstImpossible(text) ?? text.count

        let unfragmented = try EchoClient(harness)
        #expect(try unfragmented.send(FrameBytes.frame(0x81, text), pieces: 1) == FrameBytes.head(0x81, count: 0).count + rejected)
        #expect(try unfragmented.replies() == .closed(1007))

        // Each fragment has one byte and a header.
        let fragmented = try EchoClient(harness)
        #expect(try fragmented.send(FrameBytes.fragments(1, text, of: 1), pieces: 7) == 7 * rejected)
        #expect(try fragmented.replies() == .closed(1007))
    }

    @Test(arguments: UTF8Samples.invalid.filter { UTF8Samples.firstImpossible($0) != nil })
    func `§8.1 an invalid byte is rejected before the rest of its frame is received`(bytes: [UInt8]) throws {
        let client = try EchoClient(.echoing())
        try client.send(FrameBytes.head(0x81, count: 1 << 20) + FrameBytes.mask(Self.text(50) + bytes))
        #expect(try client.replies() == .closed(1007))
    }

    @Test func `§5.6 binary data isn't validated as UTF-8`() throws {
        let client = try EchoClient(.echoing())
        for bytes in UTF8Samples.invalid {
            try client.send(FrameBytes.binary(bytes))
            #expect(try client.replies() == .echo(.binary(bytes)))
        }
    }
}
