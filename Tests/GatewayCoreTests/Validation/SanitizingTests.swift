// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Unescaping, sanitizing and escaping, compared with a reference implementation.
@Suite struct SanitizingTests {
    /// Checks parsing, unescaping and escaping of `content` as the text of a message that begins after `shift` spaces.
    private func check(_ content: [UInt8], shift: Int = 0, with scanner: inout MessageScanner) {
        let json = [UInt8](repeating: 0x20, count: shift) + Array(#"{"type":"text","id":"a","text":""#.utf8) + content + Array(#""}"#.utf8)
        guard case .object(let members)? = ReferenceJSON.read(json, maxDepth: 16),
            case .string(let text)? = ReferenceJSON.value("text", of: members), !text.hasLoneSurrogate
        else {
            #expect(scan(json, with: &scanner).verdict == "invalid_json")
            return
        }
        let expected = text.sanitized
        let result = scan(json, with: &scanner)
        if expected.isEmpty {
            #expect(result.verdict == "invalid_message /text")
            return
        }
        guard let slice = result.text?.text else {
            Issue.record("\(result.verdict) for \(String(decoding: content, as: UTF8.self))")
            return
        }
        #expect(slice.count == expected.count)
        #expect(slice.isVerbatim == (content == expected))
        #expect(slice.bytes(in: json.span.bytes) == expected)
        // The escaped output is parsed back to the same text.
        let written = [0x22] + appended(expected) + [0x22]
        guard case .string(let read)? = ReferenceJSON.read(written, maxDepth: 1) else {
            Issue.record("the output isn't JSON: \(String(decoding: written, as: UTF8.self))")
            return
        }
        #expect(read.sanitized == expected)
    }

    private func appended(_ text: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(jsonEscaped: text.span.bytes)
        return bytes
    }

    @Test func `the first 300 code points and those at range bounds are handled raw and escaped`() {
        var scanner = MessageScanner(rules: ValidationRules())
        let bounds: [UInt32] = [0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x1F600, 0xFFFFF, 0x100000, 0x10FFFF]
        for value in Array(0..<300) + bounds {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let escaped = String(scalar).utf16.map { unit in
                #"\u"# + String(repeating: "0", count: 4 - String(unit, radix: 16).count) + String(unit, radix: 16)
            }.joined()
            for filler in ["", "x", "é", "0123456789abcdef"] {
                check(Array((filler + String(scalar) + filler).utf8), with: &scanner)
                check(Array((filler + escaped + filler).utf8), with: &scanner)
            }
        }
    }

    @Test(arguments: [
        "a", "é", "€", "😀", "\u{85}", "\u{7F}", "\u{A0}", #"\n"#, #"\u0000"#, #"\u00e9"#, #"\ud83d\ude00"#, #"\""#, #"\\"#, #"\/"#, #"\b"#,
        "\u{C0}", "\n",
    ])
    func `a special piece in plain text is handled at each length and alignment`(piece: String) {
        var scanner = MessageScanner(rules: ValidationRules())
        for fill in ["a", "ü", "語"] {
            for before in 0...70 {
                for after in [0, 1, 5, 16, 33] {
                    let content = String(repeating: fill, count: before) + piece + String(repeating: fill, count: after)
                    check(Array(content.utf8), shift: (before + after) % 17, with: &scanner)
                }
            }
        }
    }

    @Test func `plain text of each length up to 300 is handled at each alignment`() {
        var scanner = MessageScanner(rules: ValidationRules())
        for count in 1...300 {
            for shift in 0..<16 where shift == count % 16 || count < 40 {
                check([UInt8](repeating: 0x61, count: count), shift: shift, with: &scanner)
            }
        }
    }

    @Test func `random mixtures of pieces match the reference`() {
        let pieces = [
            "a", "bc", "plain text of some length, ", "é", "ß", "€", "漢字", "😀", "\u{80}", "\u{9F}", "\u{A0}", "\u{BF}", "\u{C0}", "\u{7F}",
            #"\u0000"#,
            #"\u001f"#, #"\u007F"#, #"\u0080"#, #"\u009f"#, #"\u00A0"#, #"\u20ac"#, #"\ud83d\ude00"#, #"\n"#, #"\t"#, #"\r"#, #"\b"#,
            #"\f"#, #"\""#,
            #"\\"#, #"\/"#, #"\u0022"#, #"\u005c"#, #"\u000a"#, #"\ud83d"#, "\u{10FFFF}", "\u{800}",
        ]
        var random = SplitMix64(state: 7)
        var scanner = MessageScanner(rules: ValidationRules())
        for round in 0..<3000 {
            // A lone surrogate makes a text invalid, so only some rounds may contain one.
            let choice = round % 8 == 0 ? pieces : pieces.filter { $0 != #"\ud83d"# }
            let content = (0..<Int.random(in: 1...24, using: &random)).map { _ in choice.randomElement(using: &random) ?? "" }.joined()
            check(Array(content.utf8), shift: round % 16, with: &scanner)
        }
    }

    @Test func `exactly the characters that require escaping are escaped`() {
        #expect(
            String(decoding: appended(Array("a\"b\\c/\u{0}\u{1F}\u{8}\t\n\u{C}\r\u{7F}é".utf8)), as: UTF8.self)
                == #"a\"b\\c/\u0000\u001f\b\t\n\f\r"# + "\u{7F}é")
        for count in 0...80 {
            let plain = [UInt8](repeating: 0x41, count: count)
            #expect(appended(plain) == plain)
            #expect(appended(plain + [0x22]) == plain + [0x5C, 0x22])
            #expect(appended([0x0A] + plain) == [0x5C, 0x6E] + plain)
        }
        var span: [UInt8] = []
        span.append(jsonEscaped: Array("a\"".utf8).span.bytes)
        #expect(span == Array(#"a\""#.utf8))
    }
}
