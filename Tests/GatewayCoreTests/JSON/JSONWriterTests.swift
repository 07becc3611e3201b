// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct JSONWriterTests {
    private func written(expecting expected: Int = 0, _ write: (inout JSONWriter) -> Void) -> String {
        var bytes: [UInt8] = []
        bytes.appendJSON(expecting: expected, write)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `members and elements are separated by commas at each level`() {
        let text = written { writer in
            writer.object { writer in
                writer.member("a", 1)
                writer.object("empty") { _ in }
                writer.array("none") { _ in }
                writer.object("b") { writer in
                    writer.member("c", true)
                    writer.member(null: "d")
                }
                writer.array("e") { writer in
                    writer.element { $0.member("f", literal: "g") }
                    writer.element { _ in }
                }
                writer.member(named: Array("h\"".utf8), Array("i".utf8))
                writer.member("j", false)
            }
        }
        #expect(text == #"{"a":1,"empty":{},"none":[],"b":{"c":true,"d":null},"e":[{"f":"g"},{}],"h\"":"i","j":false}"#)
    }

    @Test func `integers of each length are written without leading zeros`() {
        var power: UInt64 = 1
        for _ in 1...19 {
            for value in [power &- 1, power, power &+ 1, power &* 9] {
                let text = written { writer in writer.object { $0.member("n", value) } }
                #expect(text == #"{"n":\#(value)}"#)
            }
            power &*= 10
        }
        for value in [UInt64.max, 10_000_000_000_000_000_000, 9_999_999_999_999_999_999] {
            #expect(written { writer in writer.object { $0.member("n", value) } } == #"{"n":\#(value)}"#)
        }
        for value in [Int64.min, -1, -10, -99, -100, .max] {
            #expect(written { writer in writer.object { $0.member("n", value) } } == #"{"n":\#(value)}"#)
        }
    }

    @Test(
        arguments: [
            (0, "0"), (999, "0"), (1000, "0.001"), (10_000, "0.01"), (100_000, "0.1"), (1_000_000, "1"), (1_020_000, "1.02"),
            (12_345_678, "12.345"), (-1, "0"), (.max, "9223372036854.775"),
        ] as [(Int64, String)])
    func `milliseconds are written with up to three decimals`(nanoseconds: Int64, text: String) {
        #expect(written { writer in writer.object { $0.member("t", milliseconds: .nanoseconds(nanoseconds)) } } == #"{"t":\#(text)}"#)
    }

    /// A reference implementation of RFC 8259 §7.
    private func escaped(_ text: [UInt8]) -> [UInt8] {
        let short: [UInt8: Character] = [0x22: "\"", 0x5C: "\\", 8: "b", 9: "t", 10: "n", 12: "f", 13: "r"]
        return text.flatMap { byte -> [UInt8] in
            if let letter = short[byte] { return Array("\\\(letter)".utf8) }
            guard byte < 0x20 else { return [byte] }
            let digits = String(byte, radix: 16)
            return Array(("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
        }
    }

    @Test func `a byte to escape is found at each offset of texts of each length`() {
        for length in 0...50 {
            let clean = (0..<length).map { UInt8(0x61 + $0 % 26) }
            var bytes: [UInt8] = []
            bytes.append(jsonString: clean)
            #expect(bytes == [0x22] + clean + [0x22])
            for offset in 0..<length {
                for byte in [0x22, 0x5C, 0x00, 0x1F, 0x0A] as [UInt8] {
                    var text = clean
                    text[offset] = byte
                    var bytes: [UInt8] = []
                    bytes.append(jsonString: text)
                    #expect(bytes == [0x22] + escaped(text) + [0x22], "\(byte) at \(offset) of \(length)")
                }
            }
        }
    }

    @Test(arguments: [0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F, 0x80, 0xA2, 0xDC, 0xFF] as [UInt8])
    func `bytes next to the escaped ranges are written verbatim in texts of each length`(byte: UInt8) {
        for length in 1...34 {
            let text = [UInt8](repeating: byte, count: length)
            var bytes: [UInt8] = []
            bytes.append(jsonString: text)
            #expect(bytes == [0x22] + text + [0x22])
        }
    }

    @Test func `the text doesn't depend on the initially reserved memory`() {
        let text = Array("some text of a length, \n and 🙂 more \"quoted\" text".utf8)
        let write: (inout JSONWriter) -> Void = { writer in
            writer.object { writer in
                writer.member("text", text)
                writer.member("n", 1_234_567_890)
            }
        }
        let whole = written(expecting: 1000, write)
        for expected in 0...100 { #expect(written(expecting: expected, write) == whole) }
    }
}
