// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

private let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

/// A reference base64 encoder.
func base64(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    var index = 0
    while index < bytes.count {
        let group = bytes[index..<min(index + 3, bytes.count)] + []
        let bits = (0..<3).reduce(0) { $0 << 8 | ($1 < group.count ? Int(group[index + $1]) : 0) }
        for offset in 0..<4 {
            text.append(offset <= group.count ? alphabet[bits >> (18 - 6 * offset) & 63] : UInt8(ascii: "="))
        }
        index += 3
    }
    return String(decoding: text, as: UTF8.self)
}

private func decode(_ text: [UInt8]) -> [UInt8]? {
    var bytes: [UInt8] = [1, 2, 3]
    let isValid = Base64.decode(text.span.bytes, into: &bytes)
    #expect(isValid == Base64.isValid(text.span.bytes))
    #expect(Array(bytes[..<3]) == [1, 2, 3])
    guard isValid else {
        #expect(bytes.count == 3, "an invalid text appends nothing")
        return nil
    }
    #expect(Base64.decodedCount(of: text.span.bytes) == bytes.count - 3)
    return Array(bytes[3...])
}

@Suite struct Base64Tests {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func `the test vectors of RFC 4648 §10 round-trip`(plain: String, text: String) {
        #expect(decode(Array(text.utf8)) == Array(plain.utf8))
        #expect(base64(Array(plain.utf8)) == text)
    }

    @Test func `data of each length round-trips`() {
        var random = SplitMix64(state: 1)
        for count in 0...200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(decode(Array(base64(bytes).utf8)) == bytes, "\(count)")
        }
    }

    @Test(arguments: 0..<16)
    func `texts of each length are decoded at each alignment, and rejected with one invalid character`(shift: Int) {
        var random = SplitMix64(state: UInt64(shift))
        let source = (0..<225).map { _ in UInt8.random(in: 0...255, using: &random) }
        var wrong: [Int] = []
        for count in 0...225 {
            var text = [UInt8](repeating: 0x21, count: shift) + Array(base64(Array(source[..<count])).utf8)
            var bytes: [UInt8] = []
            let isDecoded = Base64.decode(text.span.bytes.extracting(shift..<text.count), into: &bytes)
            if !isDecoded || bytes != Array(source[..<count]) { wrong.append(count) }
            guard count > 0 else { continue }
            text[shift + count * 7 % (text.count - shift)] = [0x2D, 0x5F, 0x20, 0x40, 0x5B, 0x60, 0x7B, 0x3A, 0xC1][count % 9]
            if Base64.isValid(text.span.bytes.extracting(shift..<text.count)) { wrong.append(count) }
        }
        #expect(wrong == [])
    }

    @Test func `each byte outside the alphabet is rejected at each offset`() {
        let good = Array(base64([UInt8](repeating: 0xA5, count: 30)).utf8)
        for byte in UInt8.min...UInt8.max where !alphabet.contains(byte) {
            for offset in good.indices {
                // A padding character at the end doesn't always make the text invalid: its unused bits may be zero.
                if byte == UInt8(ascii: "="), offset == good.count - 1 { continue }
                var bad = good
                bad[offset] = byte
                #expect(decode(bad) == nil, "\(byte) at \(offset)")
            }
        }
    }

    @Test(arguments: [
        "A", "AA", "AAA", "=", "==", "====", "A===", "AA=A", "=AAA", "AAA==", "AAAA=", "AAAA====", "AB==", "AAB=", "AA==AAAA", "AA= ",
        "AAAA\n",
        " AAAA", "Zh==", "Zm9=", "AAAAAAAAAAAAAAAAAAAAAB==", "AAAAAAAAAAAAAAAAAAAAAAB=",
    ])
    func `invalid lengths, padding and unused bits are rejected`(text: String) {
        #expect(decode(Array(text.utf8)) == nil)
    }

    @Test func `the unused bits must be zero after any number of groups`() {
        for groups in [0, 1, 4, 5, 9] {
            let before = [UInt8](repeating: UInt8(ascii: "A"), count: groups * 4)
            for (value, character) in alphabet.enumerated() {
                #expect((decode(before + [UInt8(ascii: "A"), character] + Array("==".utf8)) != nil) == (value % 16 == 0))
                #expect((decode(before + Array("AA".utf8) + [character, UInt8(ascii: "=")]) != nil) == (value % 4 == 0))
            }
        }
    }
}
