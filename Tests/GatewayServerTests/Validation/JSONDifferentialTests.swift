// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Support
import Testing

/// Compares the scanner with Foundation's JSON parser. The known differences: Foundation accepts trailing commas and duplicate keys, and
/// rejects numbers beyond `Double` and, in ignored values, unpaired surrogates.
@Suite struct JSONDifferentialTests {
    /// Values by the categories of JSONTestSuite, made from RFC 8259: those that must be accepted (``good``) and those that must be
    /// rejected (``bad``).
    private static let good = [
        "0", "-0", "-1", "1", "123", "0.1", "1.0", "-0.0", "1e1", "1E1", "1e+1", "1e-1", "0e0", "0E+1", "1.5e10", "123.456e-789", "1e40",
        "-1e-40", "123456789012345678901234567890", "0.000000000000000000000000000000000000001", "true", "false", "null", "\"\"", "\" \"",
        "\"a\"", "\"/\"", #""\/""#, #""\"""#, #""\\""#, #""\b\f\n\r\t""#, #""\u0000""#, #""\u0022""#, #""\u005C""#, #""\u00e9""#,
        #""\u00E9""#, #""\uFFFF""#, #""\uD83D\uDE00""#, #""\ud83d\ude00""#, #""a\u0020b""#, "\"\u{7F}\"", "\"\u{80}\"", "\"\u{2028}\"",
        "\"\u{FEFF}\"", "\"\u{FFFF}\"", "\"\u{10FFFF}\"", "\"é€😀\"", "[]", "[ ]", "[\n]", "[1]", "[1,2]", "[1 , 2]", "[[]]", "[[],[]]",
        "[null,true,false,0,\"\",[],{}]", "{}", "{ }", "{\"\":0}", "{\"a\":1}", "{\"a\" : 1}", "{\"a\":1,\"b\":2}", "{\"a\":{\"a\":{}}}",
        #"{"\u0061":1,"b":1}"#, " 1", "1 ", "\t1\r\n", "[1]  ", "\n[\n1\n,\n2\n]\n",
    ]

    private static let bad = [
        "", " ", "-", "+1", "01", "-01", "00", "0x1", "1.", ".1", "-.1", "1.e1", "1e", "1e+", "1E-", "1ee1", "1e1.5", "1.2.3", "1-", "--1",
        "1 2", "1,", "NaN", "Infinity", "-Infinity", "nan", "True", "TRUE", "tru", "truee", "nul", "nulll", "fals", "\"", "\"a", "a\"",
        "'a'",
        "\"\\\"", #""\x""#, #""\a""#, #""\0""#, #""\u""#, #""\u1""#, #""\u12""#, #""\u123""#, #""\u123g""#, #""\U0041""#, #""\u{41}""#,
        #""\ ""#, "\"\\\n\"", "\"\n\"", "\"\t\"", "\"\r\"", "\"\u{0}\"", "\"\u{1}\"", "\"\u{1F}\"", "[", "]", "[1", "[1,", "[1,]", "[,1]",
        "[,]", "[1,,2]", "[1 2]", "[1;2]", "[\"a\"", "[1]]", "[[1]", "[}", "{", "}", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{,\"a\":1}",
        "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{\"a\":1,,\"b\":2}", "{\"a\" 1}", "{\"a\"::1}", "{\"a\":1 \"b\":2}", "{\"a\":1}}", "{:1}",
        "{[]:1}", "[1]x", "1x", "\"a\"x", "/**/1", "1//", "# 1", "<1>", "\u{FEFF}1", "\u{A0}1", "\u{B}1", "\u{C}1", "\u{0}1", "1\u{0}", "*",
        "\\u0031", "[\\n]", "[1,\u{A0}2]", "True,False", "undefined", "1_000", "1,000", "0b1", "0o1", "1f", "\u{661}", "２",
    ]

    private func verdict(on message: [UInt8]) -> ErrorCode? {
        var scanner = MessageScanner(rules: ValidationRules())
        do throws(MessageFault) {
            _ = try scanner.scan(message.span.bytes)
            return nil
        } catch {
            return error.code
        }
    }

    private func isJSON(_ bytes: [UInt8]) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])) != nil
    }

    @Test(arguments: good)
    func `valid JSON is accepted as the value of an unknown field`(value: String) {
        let message = Array(#"{"type":"bye","x":\#(value)}"#.utf8)
        #expect(verdict(on: message) == nil)
        #expect(isJSON(message))
        #expect(verdict(on: Array(#"{"x":[\#(value),\#(value)],"type":"bye"}"#.utf8)) == nil)
    }

    @Test(arguments: bad)
    func `invalid JSON is rejected as invalid_json`(value: String) {
        #expect(verdict(on: Array(#"{"type":"bye","x":\#(value)}"#.utf8)) == .invalidJSON)
        #expect(verdict(on: Array(#"{"x":[1,\#(value)],"type":"bye"}"#.utf8)) == .invalidJSON)
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func `the scanner and Foundation agree on generated and mutated values`(seed: UInt64) {
        var random = SplitMix64(state: seed &+ 1000)
        var accepted = 0
        for _ in 0..<2500 {
            var value = Array(Self.value(depth: 0, &random).utf8)
            if Bool.random(using: &random) { Self.mutate(&value, &random) }
            guard String(validating: value, as: UTF8.self) != nil else { continue }
            let message = Array(#"{"type":"bye","x":"#.utf8) + value + Array("}".utf8)
            switch verdict(on: message) {
            case nil:
                accepted += 1
                let isHuge = String(decoding: value, as: UTF8.self).contains(/[eE][+-]?[0-9]{3}/)
                #expect(isJSON(message) || isHuge, "\(String(decoding: message, as: UTF8.self))")
            case .invalidJSON:
                let dense = String(decoding: message.filter { ![0x20, 0x0A, 0x09].contains($0) }, as: UTF8.self)
                let isLenient = dense.contains(",]") || dense.contains(",}")
                #expect(!isJSON(message) || isLenient, "\(String(decoding: message, as: UTF8.self))")
            case let other: Issue.record("\(String(describing: other)): \(String(decoding: message, as: UTF8.self))")
            }
        }
        #expect(accepted > 800)
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func `texts are unescaped as by Foundation, and Foundation restores escaped texts`(seed: UInt64) throws {
        var random = SplitMix64(state: seed &+ 2000)
        let pieces = [
            "plain text of some length, ", "é", "€", "😀", #"\n"#, #"\""#, #"\\"#, #"\/"#, #"\t"#, #"\u00e9"#, #"\u20AC"#, #"\ud83d\ude00"#,
            "«", "a",
        ]
        var scanner = MessageScanner(rules: ValidationRules())
        for _ in 0..<1000 {
            let count = Int.random(in: 1...30, using: &random)
            let raw = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            let message = Array(#"{"type":"text","id":"a","text":"\#(raw)"}"#.utf8)
            guard case .text(let text) = try scanner.scan(message.span.bytes) else {
                Issue.record("not a text")
                continue
            }
            let bytes = text.text.bytes(in: message.span.bytes)
            let read = try #require(try JSONSerialization.jsonObject(with: Data(message)) as? [String: Any])
            #expect(read["text"] as? String == String(decoding: bytes, as: UTF8.self))
            #expect(bytes.count == text.text.count)
            var written: [UInt8] = []
            written.append(jsonString: bytes)
            let again = try JSONSerialization.jsonObject(with: Data(written), options: [.fragmentsAllowed])
            #expect(again as? String == String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Generates a valid JSON value of limited depth.
    static func value(depth: Int, _ random: inout SplitMix64) -> String {
        let space = ["", "", "", " ", "\n", "\t "].randomElement(using: &random) ?? ""
        let content: String
        switch Int.random(in: 0..<(depth < 3 ? 8 : 5), using: &random) {
        case 0: content = "\(Int.random(in: -1_000_000...1_000_000, using: &random))"
        case 1:
            content =
                "\(Int.random(in: -99...99, using: &random)).\(Int.random(in: 0...999, using: &random))e\(Int.random(in: -9...9, using: &random))"
        case 2: content = ["true", "false", "null"].randomElement(using: &random) ?? "null"
        case 3, 4:
            let pieces = ["a", "bc", "é", "😀", #"\n"#, #"\u0041"#, #"\u20ac"#, "0123456789abcdef"]
            content =
                "\"" + (0..<Int.random(in: 0...6, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined() + "\""
        case 5, 6:
            content =
                "[" + (0..<Int.random(in: 0...4, using: &random)).map { _ in value(depth: depth + 1, &random) }.joined(separator: ",") + "]"
        default:
            // Names are unique, and a mutation is unlikely to make a duplicate.
            let members = (0..<Int.random(in: 0...4, using: &random)).map {
                "\"k\($0)\(Int.random(in: 1000...999_999, using: &random))\":" + value(depth: depth + 1, &random)
            }
            content = "{" + members.joined(separator: ",") + "}"
        }
        return space + content + space
    }

    /// Mutates bytes by removing, replacing or inserting a token.
    static func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
        let position = Int.random(in: 0...bytes.count, using: &random)
        let pieces = ["{", "}", "[", "]", ",", ":", "\"", "\\", "0", "-", ".", "e", "+", " ", "t", "null", "/", "\u{1}", "é"]
        switch Int.random(in: 0..<3, using: &random) {
        case 0 where position < bytes.count: bytes.remove(at: position)
        case 1 where position < bytes.count: bytes[position] = Array((pieces.randomElement(using: &random) ?? "x").utf8)[0]
        default: bytes.insert(contentsOf: Array((pieces.randomElement(using: &random) ?? "x").utf8), at: position)
        }
    }
}
