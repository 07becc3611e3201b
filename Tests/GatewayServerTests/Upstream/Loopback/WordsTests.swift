// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayServer

@Suite struct WordsTests {
    private func pieces(_ text: String) -> [String] {
        let bytes = Array(text.utf8)
        var pieces: [String] = []
        var start = 0
        while start < bytes.count {
            let end = Words.end(after: start, in: bytes)
            pieces.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end
        }
        return pieces
    }

    @Test(
        arguments: [
            ("", []), ("one", ["one"]), ("one two", ["one ", "two"]), ("  one\t\ntwo  ", ["  one\t\n", "two  "]), ("   ", ["   "]),
            ("grüß dich", ["grüß ", "dich"]), ("a\u{A0}b c", ["a\u{A0}b ", "c"]),
        ])
    func `pieces are words with their trailing white space`(text: String, expected: [String]) {
        #expect(pieces(text) == expected)
    }

    @Test(arguments: [("", 0), ("   ", 0), ("one", 1), (" one  two ", 2), ("a b c d e f", 5)])
    func `words are counted up to a limit`(text: String, expected: Int) {
        #expect(Words.count(in: Array(text.utf8), upTo: 5) == expected)
    }
}
