// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// RFC 8259 syntax; each case is the value of an unknown field, where only the JSON syntax is checked.
@Suite struct JSONSyntaxTests {
    private func scanValue(_ value: [UInt8]) -> Result<ClientMessage, MessageFault> {
        scan(Array(#"{"type":"bye","x":"#.utf8) + value + Array("}".utf8))
    }

    @Test(arguments: [
        "null", "true", "false", "0", "-0", "7", "-1", "10", "1234567890123456789012345678901234567890", "0.5", "-0.0", "3.25", "1e3",
        "1E3",
        "1e+3", "1E-3", "0e0", "0e+1", "1.5e10", "-1.5E-10", "1e99999", "0.00000000000000000000000000000001", #""""#, #"" ""#, #""abc""#,
        #""\"""#, #""\\""#, #""\/""#, #""\b\f\n\r\t""#, #""\u0000""#, #""\u001F""#, #""\u0041""#, #""\uABCD\uabcd""#, #""\ud83d\ude00""#,
        #""\uD83D\uDE00""#, #""\udbff\udfff""#, #""\ud800""#, #""\udc00""#, #""\ude00\ud83d""#, #""\ud83d\u0041""#, #""\ud83dx""#,
        #""\ud800\n""#, #""\ud800\ud800\udc00""#, #""\uFFFF\uFFFE\uFDD0""#, #""\\u0000""#, #""/* no comment */""#, "\"\u{7F}\"", "\"é\"",
        "\"\u{80}\u{9F}\u{A0}\"", "\"€\u{FFFF}\u{10FFFF}\"", "\"\u{2028}\u{2029}\"", "\"\u{FEFF}\"", "\"😀\"", "[]", "[ ]", "[0]", "[[]]",
        "[[],[]]", "[null,true,false,0,\"\",[],{}]", "[ 1 , 2 ]", "[\n1\r\n,\t2 ]", "{}", "{ }", "{\"\":0}", "{\"a\":{\"b\":{\"c\":[]}}}",
        "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{ \"a\" : 1 , \"b\" : [ ] }", "{\"\\ud800\":0}", "{\"\\u0000\":0}", "{\"é\":[{}]}",
        "\t\n\r 1\t\n\r ", "[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]",
    ])
    func `valid JSON is accepted as the value of an unknown field`(value: String) {
        #expect(scanValue(Array(value.utf8)).verdict == "ok")
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "Null", "NULL", "tru", "truee", "True", "fals", "falsee", "nan", "NaN", "Infinity", "-Infinity",
        "undefined",
        "-", "+1", "--1", "01", "-01", "00", "1.", ".5", "-.5", "1.e3", "1e", "1e+", "1E-", "1e1.5", "1.2.3", "0x10", "1_000", "1a", "1 2",
        "0e", "- 1", "1 .5", "１", "2.e+3", "1eE2", "1+2", "'a'", "\"", "\"abc", #""\""#, #""\x""#, #""\a""#, #""\0""#, #""\'""#, #""\u""#,
        #""\u12""#, #""\u123""#, #""\u123g""#, #""\U0041""#, #""\u 041""#, #""\u+041""#, #""\ud83d\u""#, #""\ud83d\ude0""#, #""\ud800\x""#,
        #""\"#, #""\u004"#, "\"\n\"", "\"\t\"", "\"\u{0}\"", "\"\u{1F}\"", "\"aaaaaaaaaaaaaaaaaaaaaaaa\u{1}\"", "[", "]", "[1", "[1,",
        "[1,]",
        "[,1]", "[,]", "[1,,2]", "[1 2]", "[1:2]", "[\"a\":1]", "[1}", "[]]", "[[]", "[\"", "[1]]", "{", "{]", "{\"a\"", "{\"a\"}",
        "{\"a\":",
        "{\"a\":}", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{,\"a\":1}", "{\"a\" 1}", "{\"a\",1}", "{a:1}", "{1:1}", "{'a':1}",
        "{null:1}", "{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{\"a\"::1}", "{\"a\":1]", "{\"a\":1}}", "{[]:1}", "{\"a\\x\":1}",
        "// x\n1", "/* x */1", "1/**/", "#1", "1\u{A0}", "\u{FEFF}1", "1\u{0}", "1\u{C}", "\u{B}1", "\u{2060}1", "a", "é", "*", "1;", "<1>",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "{\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}",
    ])
    func `invalid JSON is rejected, and the next message is parsed`(value: String) {
        #expect(scanValue(Array(value.utf8)).verdict == "invalid_json")
        var scanner = MessageScanner(rules: ValidationRules())
        _ = scan(Array(#"{"type":"ping","x":\#(value)}"#.utf8), with: &scanner)
        #expect(scan(Array(#"{"type":"ping"}"#.utf8), with: &scanner).verdict == "ok")
    }

    @Test(arguments: [
        "", " ", "null", "1", "[]", "\"a\"", "[{\"type\":\"bye\"}]", "\u{FEFF}{\"type\":\"bye\"}", "{\"type\":\"bye\"}x",
        "{\"type\":\"bye\"}{\"type\":\"bye\"}", "{\"type\":\"bye\"},", "{\"type\":\"bye\"}\u{0}", "{\"type\":\"bye\"",
        "{\"type\":\"bye\",}",
        "{", "{\"", "}", "{\"type\"", "{\"type\":",
    ])
    func `a message that isn't exactly one object is rejected`(json: String) {
        #expect(scan(json).verdict == "invalid_json")
    }

    @Test func `white space is allowed around all tokens`() {
        #expect(scan(" \t\r\n{ \t\"type\"\n:\r\"bye\" , \"x\" : [ 1 , { \"a\" : null } ] } \n").verdict == "ok")
    }

    @Test func `the nesting depth includes the message, and its limit is configurable`() {
        for depth in [1, 2, 3, 16, 63, 64] {
            for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
                func message(_ levels: Int) -> String {
                    let inner = open == "[" ? "" : "1"
                    return #"{"type":"bye","x":"# + String(repeating: open, count: levels) + (levels == 0 ? "1" : inner)
                        + String(repeating: close, count: levels) + "}"
                }
                let rules = ValidationRules(maxDepth: depth)
                #expect(scan(message(depth - 1), rules: rules).verdict == "ok", "\(depth)")
                #expect(scan(message(depth), rules: rules).verdict == "invalid_json", "\(depth)")
            }
        }
    }

    @Test func `a hundred thousand opening brackets are rejected`() {
        for open in ["[", #"{"":"#] {
            #expect(scanValue(Array(String(repeating: open, count: 100_000).utf8)).verdict == "invalid_json")
        }
    }

    @Test func `a message truncated at any offset is rejected`() {
        let json = Array(#"{"type":"text","id":"m1","text":"a\u00e9\ud83d\ude00é😀","stream":true,"x":[1.5e3,{"a":null}],"y":-0}"#.utf8)
        #expect(scan(json).verdict == "ok")
        for count in 0..<json.count { #expect(scan(json[..<count]).verdict == "invalid_json", "\(count)") }
    }

    @Test func `a fault contains its offset`() {
        #expect(scan(#"{"type":"bye",}"#).fault?.offset == 14)
        #expect(scan(#"{"type":"bye"} x"#).fault?.offset == 15)
        #expect(scan(#"{"type":"ping","id":"é"}"#).fault?.offset == 21)
    }
}
