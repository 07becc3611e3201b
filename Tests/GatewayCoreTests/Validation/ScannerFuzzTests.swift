// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Randomly mutated messages, checked by the scanner and by ``ReferenceJSON``; the mutations are the same on every run.
@Suite struct ScannerFuzzTests {
    private static let seeds = [
        #"{"type":"ping","id":"p1","ts":1723456789.25e0}"#,
        #"{"type":"text","id":"m1","text":"Grüße, 世界 😀 \u00e9\ud83d\ude00\n","lang":"de-CH","stream":true,"meta":{"a":"b","c.d":"e\"f"}}"#,
        #"{"type":"text","id":"m2","text":"hello hello hello hello hello","output":{"modalities":["text","audio"],"format":{"codec":"opus","rate":48000},"voice":"v"}}"#,
        #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":1},"data":"AAECAw==","final":true}"#,
        #"{"type":"status","id":"s1","state":"playing","reply_to":"m1","played_ms":1200}"#,
        #"{"x":[1,-2.5,{"y":[true,false,null,"z"]},[[]],{}],"type":"cancel","id":"m1","reason":"\ud800"}"#,
        #"{"type":"ack","seq":17,"a":0,"b":1,"c":2,"d":3,"e":4,"f":5,"g":6,"h":7,"i":8,"j":9}"#,
        #"{"type":"auth","token":"aaaa.bbbb.cccc"} "#,
    ]
    private static let pieces: [[UInt8]] =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "\\ude00", "0", "-", ".", "e", "true", "null", "\"type\":",
            "\"id\":", "a", " ", "\"a\":1,", "é", "😀",
        ]
        .map { Array($0.utf8) } + [[0], [0x1F], [0x7F], [0xC2, 0x85], [0x80], [0xED, 0xA0, 0x80], [0xFF], [0xF0, 0x9F]]

    private func mutate(_ seed: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var bytes = seed
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let offset = Int.random(in: 0...bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where offset < bytes.count: bytes[offset] = UInt8.random(in: 0...255, using: &random)
            case 1 where offset < bytes.count: bytes.remove(at: offset)
            case 2: bytes.insert(contentsOf: Self.pieces.randomElement(using: &random) ?? [], at: offset)
            case 3 where offset < bytes.count: bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 4:
                let end = min(bytes.count, offset + Int.random(in: 0...20, using: &random))
                bytes.insert(contentsOf: bytes[offset..<end], at: Int.random(in: 0...bytes.count, using: &random))
            default:
                let end = min(bytes.count, offset + Int.random(in: 0...8, using: &random))
                bytes.removeSubrange(offset..<end)
            }
        }
        return bytes
    }

    @Test(arguments: 0..<8)
    func `the scanner and the reference parser accept the same messages as JSON`(seed: Int) {
        var random = SplitMix64(state: UInt64(seed) &* 77 &+ 5)
        var scanner = MessageScanner(rules: ValidationRules(maxDepth: 6))
        let original = Array(Self.seeds[seed].utf8)
        var valid = 0
        for _ in 0..<4000 {
            let bytes = mutate(original, &random)
            // Invalid UTF-8 never reaches the scanner, but must not crash it either.
            var utf8 = UTF8Validator()
            guard utf8.accept(bytes.span.bytes), utf8.isComplete else {
                _ = scan(bytes, with: &scanner)
                continue
            }
            let isInvalid = ReferenceJSON.isInvalid(bytes, maxDepth: 6)
            let result = scan(bytes, with: &scanner)
            if isInvalid != (result.code == .invalidJSON) {
                // A lone surrogate in modalities is found only when they are validated.
                if !isInvalid, String(decoding: bytes, as: UTF8.self).contains("modalities") { continue }
                Issue.record("\(result.verdict) for \(String(decoding: bytes, as: UTF8.self))")
            }
            if !isInvalid { valid += 1 }
            guard case .success(.text(let message)) = result, case .object(let members)? = ReferenceJSON.read(bytes, maxDepth: 6),
                case .string(let text)? = ReferenceJSON.value("text", of: members),
                case .string(let id)? = ReferenceJSON.value("id", of: members)
            else { continue }
            #expect(message.text.bytes(in: bytes.span.bytes) == text.sanitized)
            #expect(Array(message.id.description.utf8) == id.sanitized)
        }
        #expect(valid > 100, "too few mutated messages are valid")
    }

    @Test func `random bytes are rejected`() {
        var random = SplitMix64(state: 99)
        var scanner = MessageScanner(rules: ValidationRules())
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0...100, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(scan(bytes, with: &scanner).code == .invalidJSON)
            #expect(scan(Array("{\"".utf8) + bytes, with: &scanner).code != nil)
        }
    }
}
