// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct DuplicateKeyTests {
    @Test(arguments: [
        #"{"type":"bye","type":"bye"}"#, #"{"type":"bye","\u0074ype":"bye"}"#, #"{"type":"bye","x":1,"x":2}"#,
        #"{"type":"bye","x":1,"\u0078":2}"#,
        #"{"type":"bye","\u0078":1,"x":2}"#, #"{"type":"bye","":1,"":2}"#, #"{"type":"ping","ts":null,"ts":1}"#,
        #"{"type":"bye","id":1,"id":1}"#,
        #"{"type":"bye","é":1,"\u00e9":2}"#, #"{"type":"bye","😀":1,"\ud83d\ude00":2}"#, #"{"type":"bye","a\u0000":1,"a\u0000":2}"#,
        #"{"type":"audio","id":"a","format":{"codec":"opus","rate":48000,"codec":"opus"}}"#,
        #"{"type":"audio","id":"a","format":{"codec":"opus","rate":48000,"z":1,"z":1}}"#,
        #"{"type":"text","id":"a","text":"a","output":{"voice":"a","voice":"a"}}"#,
        #"{"type":"text","id":"a","text":"a","output":{"format":{"codec":"opus","rate":48000,"rate":48000}}}"#,
        #"{"type":"text","id":"a","text":"a","meta":{"k":"1","k":"2"}}"#,
        #"{"type":"text","id":"a","text":"a","meta":{"k":"1","\u006b":"2"}}"#,
        #"{"output":{"voice":"a","voice":"a"},"type":"text","id":"a","text":"a"}"#,
    ])
    func `a duplicate key is rejected`(json: String) {
        let fault = scan(json).fault
        #expect(fault?.code == .invalidJSON)
        #expect(fault?.param == nil)
    }

    @Test(arguments: [
        #"{"type":"bye","a":1,"A":2,"a ":3,"a\u0000":4,"":5}"#, #"{"type":"bye","x":{"a":1,"a":2}}"#,
        #"{"type":"ping","meta":{"a":"1","a":"2"},"format":{"codec":1,"codec":2},"output":{"voice":1,"voice":1}}"#,
        #"{"type":"text","id":"a","text":"a","format":{"codec":1,"codec":2}}"#,
        #"{"type":"text","id":"a","text":"a","output":{"x":{"a":1,"a":1}}}"#, #"{"type":"text","id":"a","text":"a","id\u0000":"b"}"#,
        #"{"type":"bye","codec":1,"voice":2}"#,
    ])
    func `distinct keys are accepted, and so are duplicate keys in unknown fields`(json: String) {
        #expect(scan(json).verdict == "ok")
    }

    @Test(arguments: [0, 1, 7, 8, 9, 10, 31, 32, 33, 63, 64, 65, 500, 3000])
    func `any number of distinct keys is accepted, and a duplicate among them is found at any position`(count: Int) {
        let keys = (0..<count).map { #""key\#($0)":\#($0)"# }
        var scanner = MessageScanner(rules: ValidationRules())
        func json(_ members: [String]) -> [UInt8] { Array(#"{\#((members + [#""type":"bye""#]).joined(separator: ","))}"#.utf8) }
        #expect(scan(json(keys), with: &scanner).verdict == "ok")
        for repeated in Set([0, count / 2, count - 1]) where count > 0 && repeated < count {
            #expect(scan(json(keys + [#""key\#(repeated)":0"#]), with: &scanner).verdict == "invalid_json")
            #expect(scan(json(keys + [#""\u006bey\#(repeated)":0"#]), with: &scanner).verdict == "invalid_json")
            #expect(scan(json([#""\u006bey\#(repeated)":0"#] + keys), with: &scanner).verdict == "invalid_json")
        }
        #expect(scan(json(keys), with: &scanner).verdict == "ok")
    }

    @Test func `a message full of hostile keys is parsed, and its one duplicate found`() {
        var scanner = MessageScanner(rules: ValidationRules())
        // As many keys as fit, all of the same length and almost equal.
        let keys = (0..<20_000).map { index in "\"\(String(String(index + 1_000_000).reversed()))\":0" }
        func json(_ members: [String]) -> [UInt8] { Array(#"{\#(members.joined(separator: ",")),"type":"ping"}"#.utf8) }
        let whole = json(keys)
        #expect(whole.count > 200_000 && whole.count < 300_000)
        #expect(scan(json(keys + [keys[12_345]]), with: &scanner).verdict == "invalid_json")
        var lenient = MessageScanner(rules: ValidationRules(maxBytes: 0))
        #expect(scan(whole, with: &lenient).verdict == "ok")
        // Long keys with a long common prefix.
        let prefix = String(repeating: "a", count: 8000)
        let long = (0..<30).map { "\"\(prefix)\($0)\":0" }
        #expect(scan(json(long), with: &scanner).verdict == "ok")
        #expect(scan(json(long + [long[29]]), with: &scanner).verdict == "invalid_json")
        // Keys that consist only of escapes.
        let escaped = (0..<5000).map { index -> String in
            let digits: [String] = String(index + 10_000).utf8.map { digit in #"\u00"# + String(digit, radix: 16) }
            return "\"\(digits.joined())\":0"
        }
        #expect(scan(json(escaped), with: &scanner).verdict == "ok")
        #expect(scan(json(escaped + ["\"12345\":0"]), with: &scanner).verdict == "invalid_json")
        #expect(scan(Array(#"{"type":"ping"}"#.utf8), with: &scanner).verdict == "ok")
    }
}
