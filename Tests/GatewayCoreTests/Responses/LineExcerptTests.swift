// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct LineExcerptTests {
    private func excerpt(_ bytes: [UInt8]) -> String { bytes.withRawSpan { LineExcerpt($0).description } }
    private func excerpt(_ text: String) -> String { excerpt(Array(text.utf8)) }

    @Test(arguments: [
        ("", #""""#), ("Loading", #""Loading""#), ("one\ntwo", #""one""#), ("a\tb\r", #""a\u{9}b\u{D}""#),
        (#"say "x" \n"#, #""say \"x\" \\n""#),
        ("\u{1B}[31mred", #""\u{1B}[31mred""#), ("Größe 世界 ✓", #""Größe 世界 ✓""#),
        // Scalars that reorder or hide text, and line separators.
        ("a\u{202E}b\u{200B}c\u{85}d\u{2028}e\u{FEFF}f", #""a\u{202E}b\u{200B}c\u{85}d\u{2028}e\u{FEFF}f""#),
    ])
    func `invisible characters are escaped`(text: String, shown: String) {
        #expect(excerpt(text) == shown)
    }

    @Test func `a line is truncated at 80 bytes, or at 16 if it begins like JSON`() {
        let long = String(repeating: "x", count: 80)
        #expect(excerpt(long) == "\"\(long)\"")
        #expect(excerpt(long + "y") == "\"\(long)…\" (81 bytes)")
        #expect(excerpt(#"{"type":"text",]"#) == #""{\"type\":\"text\",]""#)
        #expect(excerpt(#" {"type":"text","text":"secret""#) == #"" {\"type\":\"text\",…" (31 bytes)"#)
    }

    @Test func `invalid UTF-8 and a truncated character are shown as U+FFFD`() {
        #expect(excerpt([0xFF, 0x41]) == "\"\u{FFFD}A\"")
        #expect(
            excerpt([UInt8](repeating: 0x41, count: 79) + "ß".utf8) == "\"" + String(repeating: "A", count: 79) + "\u{FFFD}…\" (81 bytes)")
    }
}
