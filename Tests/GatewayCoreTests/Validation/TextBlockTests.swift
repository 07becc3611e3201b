// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Reading and writing texts in blocks: plain text with a special piece, at each length, offset and alignment.
@Suite struct TextBlockTests {
    /// Raw JSON, and its text after unescaping and sanitizing.
    private static let special: [(raw: [UInt8], text: [UInt8])] = [
        (#"\n"#, "\n"), (#"\""#, "\""), (#"\\"#, "\\"), (#"\/"#, "/"), (#"\u0041"#, "A"), (#"\u00e9"#, "é"), (#"\u20AC"#, "€"),
        (#"\ud83d\ude00"#, "😀"), (#"\u0000"#, ""), (#"\u0085"#, ""), ("\u{7F}", ""), ("\u{80}", ""), ("\u{9F}", ""), ("\u{A0}", "\u{A0}"),
        ("\u{BF}", "\u{BF}"), ("é", "é"), ("😀", "😀"),
    ].map { (Array($0.0.utf8), Array($0.1.utf8)) }

    /// The text of a message that begins `shift` bytes into its storage.
    private func read(_ content: [UInt8], shift: Int, with scanner: inout MessageScanner) -> [UInt8]? {
        let json = [UInt8](repeating: 0xFF, count: shift) + Array(#"{"type":"text","id":"a","text":""#.utf8) + content + Array(#""}"#.utf8)
        let span = json.span.bytes.extracting(shift..<json.count)
        guard case .text(let message)? = try? scanner.scan(span) else { return nil }
        let bytes = message.text.bytes(in: span)
        return message.text.count == bytes.count ? bytes : nil
    }

    @Test(arguments: 0..<16)
    func `a text of each length up to 300 is read at each alignment`(shift: Int) {
        var scanner = MessageScanner(rules: ValidationRules())
        var wrong: [Int] = []
        for length in 1...300 {
            let piece = Self.special[(length + shift) % Self.special.count]
            let offset = length * 7 % (length + 1)
            let before = [UInt8](repeating: 0x61, count: offset)
            let after = [UInt8](repeating: 0x62, count: length - offset)
            if read(before + piece.raw + after, shift: shift, with: &scanner) != before + piece.text + after { wrong.append(length) }
        }
        #expect(wrong == [])
    }

    @Test func `each special piece is read at each offset, twice in one text`() {
        var scanner = MessageScanner(rules: ValidationRules())
        var wrong: [[UInt8]] = []
        for piece in Self.special {
            for offset in 1..<84 {
                let before = [UInt8](repeating: 0x61, count: offset)
                let after = [UInt8](repeating: 0x62, count: offset % 19)
                let raw = before + piece.raw + after + piece.raw + before
                if read(raw, shift: offset % 16, with: &scanner) != before + piece.text + after + piece.text + before { wrong.append(raw) }
            }
        }
        #expect(wrong == [])
    }

    @Test func `a control character or the end of the message is detected at each offset`() {
        var scanner = MessageScanner(rules: ValidationRules())
        for offset in 0..<150 {
            let json = Array(#"{"type":"text","id":"a","text":""#.utf8) + [UInt8](repeating: 0x61, count: offset)
            #expect(scan(json, with: &scanner).verdict == "invalid_json")
            #expect(scan(json + [0x5C], with: &scanner).verdict == "invalid_json")
            for byte in [0x00, 0x0A, 0x1F] as [UInt8] {
                #expect(scan(json + [byte] + Array(#"bbbbbbbbbbbbbbbb"}"#.utf8), with: &scanner).verdict == "invalid_json")
            }
        }
    }

    // MARK: Writing

    /// The reference escapes of ASCII.
    private static let escapes: [[UInt8]] = (0..<128 as Range<UInt8>).map { byte in
        switch Unicode.Scalar(byte) {
        case "\"": return Array(#"\""#.utf8)
        case "\\": return Array(#"\\"#.utf8)
        case "\u{8}": return Array(#"\b"#.utf8)
        case "\t": return Array(#"\t"#.utf8)
        case "\n": return Array(#"\n"#.utf8)
        case "\u{C}": return Array(#"\f"#.utf8)
        case "\r": return Array(#"\r"#.utf8)
        case "\u{0}"..."\u{1F}":
            let digits = String(byte, radix: 16)
            return Array((digits.count == 1 ? #"\u000"# : #"\u00"#).utf8) + digits.utf8
        default: return [byte]
        }
    }

    private func written(_ text: [UInt8], from start: Int = 0) -> [UInt8] {
        var bytes: [UInt8] = [0x22]
        bytes.append(jsonEscaped: text.span.bytes.extracting(start..<text.count))
        return bytes
    }

    @Test(arguments: 0..<16)
    func `a text of each length up to 300 is written at each alignment`(shift: Int) {
        var wrong: [Int] = []
        for length in 0...300 {
            let byte = UInt8((length * 13 + shift) % 48)
            let offset = length * 7 % (length + 1)
            let before = [UInt8](repeating: 0x61, count: offset)
            let after = [UInt8](repeating: 0xC3, count: length - offset)
            let text = [UInt8](repeating: 0x22, count: shift) + before + [byte] + after
            if written(text, from: shift) != [0x22] + before + Self.escapes[Int(byte)] + after { wrong.append(length) }
        }
        #expect(wrong == [])
    }

    @Test func `each byte is written at each offset of a block`() {
        var wrong: [[UInt8]] = []
        for byte in 0..<128 as Range<UInt8> {
            for offset in 0..<34 {
                let before = [UInt8](repeating: 0x61, count: offset)
                let text = before + [byte] + before
                if written(text) != [0x22] + before + Self.escapes[Int(byte)] + before { wrong.append(text) }
            }
        }
        #expect(wrong == [])
    }

    @Test(arguments: [1007, 1008, 1009, 1022, 1023, 1024, 1025, 1040, 2047, 2048, 2049, 3000])
    func `long texts are written completely, whether plain or all escapes`(length: Int) {
        for byte in [0x61, 0x22, 0x01] as [UInt8] {
            let expected = Array(repeatElement(Self.escapes[Int(byte)], count: length).joined())
            #expect(written([UInt8](repeating: byte, count: length)) == [0x22] + expected)
        }
        let plain = [UInt8](repeating: 0x61, count: length)
        #expect(written(plain + [0x0A] + plain) == [0x22] + plain + [0x5C, 0x6E] + plain)
    }
}
