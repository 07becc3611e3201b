// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct SafeTextTests {
    private func escaped(_ text: String, quoted: Bool = true, limit: Int = SafeText.maximumValueBytes) -> String {
        var bytes: [UInt8] = []
        SafeText.append(text, to: &bytes, quoted: quoted, limit: limit)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("plain text, 100 % of it", "plain text, 100 % of it"),
        ("Grüße, 你好, שלום, 👩‍👩‍👧", "Grüße, 你好, שלום, 👩‍👩‍👧"),
        ("a\nb\r\tc", #"a\nb\r\tc"#),
        ("\u{0}\u{1F}\u{7F}", #"\u0000\u001f\u007f"#),
        ("\u{1B}[31mred\u{1B}]0;title\u{7}", #"\u001b[31mred\u001b]0;title\u0007"#),
        ("\u{80}\u{9B}2J\u{9F}\u{A0}", "\\u0080\\u009b2J\\u009f\u{A0}"),
        ("a\u{2028}b\u{2029}c", #"a\u2028b\u2029c"#),
        ("\u{202A}\u{202E}evil\u{2066}\u{2069}\u{200E}\u{200F}\u{61C}", #"\u202a\u202eevil\u2066\u2069\u200e\u200f\u061c"#),
        ("\u{FEFF}\u{200B}\u{2060}", #"\ufeff\u200b\u2060"#),
        ("\u{E0041}", #"\udb40\udc41"#),
        (#"say "hi" \o/"#, #"say \"hi\" \\o/"#),
        ("", ""),
    ])
    func `characters that affect a terminal or a parser are escaped, all others unchanged`(text: String, expected: String) {
        #expect(escaped(text) == expected)
    }

    @Test func `outside quotes, quotes and backslashes aren't escaped`() {
        #expect(escaped("a \"b\" \\ \u{1B}", quoted: false) == "a \"b\" \\ \\u001b")
    }

    @Test func `a value over its limit is truncated, with the number of omitted bytes`() {
        #expect(escaped("abcd", limit: 4) == "abcd")
        #expect(escaped("abcde", limit: 4) == "abcd…(+1 bytes)")
        let full = String(repeating: "x", count: SafeText.maximumValueBytes)
        #expect(escaped(full) == full)
        #expect(escaped(full + "y") == full + "…(+1 bytes)")
    }

    @Test func `truncation never splits a character`() {
        #expect(escaped("aé", limit: 2) == "a…(+2 bytes)")
        #expect(escaped("a€", limit: 3) == "a…(+3 bytes)")
        #expect(escaped("👍", limit: 3) == "…(+4 bytes)")
        #expect(escaped("👍", limit: 0) == "…(+4 bytes)")
    }
}
