// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Support
import Testing

/// Compares the scanner with Foundation on whole messages: accepted messages have the fields that Foundation parses, and messages rejected
/// as invalid JSON are also rejected by Foundation, or accepted by it only because of a known leniency.
@Suite struct JSONDifferentialMessageTests {
    @Test(arguments: 0..<6 as Range<UInt64>)
    func `generated and mutated messages have the fields that Foundation parses`(seed: UInt64) {
        var random = SplitMix64(state: seed &+ 4000)
        var scanner = MessageScanner(rules: ValidationRules())
        var accepted = 0
        var rejected = 0
        for _ in 0..<250 {
            let generated = Array(MessageGenerator.message(&random).utf8)
            for round in 0..<3 {
                var bytes = generated
                for _ in 0..<round { JSONDifferentialTests.mutate(&bytes, &random) }
                guard String(validating: bytes, as: UTF8.self) != nil else { continue }
                let text = String(decoding: bytes, as: UTF8.self)
                // Foundation rejects numbers beyond the range of Double.
                if text.contains(/[eE][+-]?[0-9]{3}/) { continue }
                let expected = (try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])) as? [String: Any]
                do throws(MessageFault) {
                    let message = try scanner.scan(bytes.span.bytes)
                    accepted += 1
                    let fields = Self.fields(of: message, in: bytes)
                    #expect(fields.allSatisfy { Self.described(expected?[$0.key], of: $0.key) == $0.value }, "\(fields) of \(text)")
                } catch {
                    #expect(round > 0, "\(error) for \(text)")
                    rejected += 1
                    if error.code != .invalidJSON {
                        #expect(expected != nil, "\(error) for \(text)")
                    } else if expected != nil {
                        #expect(Self.isLenient(text), "\(error) for \(text)")
                    }
                }
            }
        }
        #expect(accepted > 300 && rejected > 150, "\(accepted) accepted, \(rejected) rejected")
    }

    /// Returns whether a text has syntax that Foundation accepts but the scanner rejects: a trailing comma (RFC 8259 §4 and §5) or a
    /// duplicate name.
    private static func isLenient(_ text: String) -> Bool {
        let dense = text.filter { !$0.isWhitespace }
        if dense.contains(",]") || dense.contains(",}") { return true }
        let names = dense.matches(of: /"([^"\\]*)":/).map { String($0.1) }
        return Set(names).count < names.count
    }

    /// Returns the fields of a message as text by their JSON names.
    private static func fields(of message: ClientMessage, in bytes: [UInt8]) -> [String: String] {
        func text(_ slice: TextSlice?) -> String? { slice.map { String(decoding: $0.bytes(in: bytes.span.bytes), as: UTF8.self) } }
        var fields: [String: String?] = [:]
        switch message {
        case .ping(let id, let ts):
            fields = ["type": "ping", "id": id?.description]
            var number: [UInt8] = []
            ts?.append(to: &number, from: bytes.span.bytes)
            if ts != nil { fields["ts"] = Double(String(decoding: number, as: UTF8.self)).map { described(NSNumber(value: $0)) } }
        case .text(let message):
            fields = ["type": "text", "id": message.id.description, "text": text(message.text), "lang": text(message.lang)]
            let meta = message.meta.map { "\(text($0.key) ?? "")=\(text($0.value) ?? "")" }.sorted()
            if !meta.isEmpty { fields["meta"] = meta.joined(separator: ";") }
        case .status(let message):
            fields = [
                "type": "status", "id": message.id?.description, "state": message.state?.rawValue, "reply_to": message.replyTo?.description,
                "played_ms": message.playedMilliseconds.map { described(NSNumber(value: $0)) },
            ]
        case .cancel(let id, let reason, let played):
            fields = [
                "type": "cancel", "id": id.description, "reason": text(reason), "played_ms": played.map { described(NSNumber(value: $0)) },
            ]
        case .ack(let sequence): fields = ["type": "ack", "seq": described(NSNumber(value: sequence))]
        default: break
        }
        return fields.compactMapValues { $0 }
    }

    /// Like ``described(_:)``, with `played_ms` rounded down and at least 0.
    private static func described(_ value: Any?, of field: String) -> String? {
        guard let value else { return nil }
        guard field == "played_ms", let number = value as? NSNumber else { return described(value) }
        return described(NSNumber(value: min(max(0, number.doubleValue.rounded(.down)), Double(Int64.max))))
    }

    /// Returns a Foundation value as text, with strings sanitized as the protocol requires.
    private static func described(_ value: Any) -> String {
        switch value {
        case let string as String:
            var result = String.UnicodeScalarView()
            for scalar in string.unicodeScalars where scalar == "\t" || scalar == "\n" || scalar.properties.generalCategory != .control {
                result.append(scalar)
            }
            return String(result)
        case let members as [String: Any]:
            return members.map { "\(described($0.key))=\(described($0.value))" }.sorted().joined(separator: ";")
        case let number as NSNumber: return "\(number.doubleValue)"
        default: return "\(value)"
        }
    }
}

/// Generates valid messages in many notations: members in any order, white space, escapes, and unknown fields.
private enum MessageGenerator {
    static func message(_ random: inout SplitMix64) -> String {
        var members = [(String, String)]()
        func add(_ name: String, _ value: String) {
            if Int.random(in: 0..<3, using: &random) > 0 { members.append((name, value)) }
        }
        let number = "\(UInt64.random(in: 0...9_007_199_254_740_992, using: &random))"
        let kind = ["ping", "text", "status", "cancel", "ack"].randomElement(using: &random) ?? "ping"
        switch kind {
        case "ping":
            add("id", "\"p1\"")
            add("ts", ["0", "-1.5e3", "1723456789.25", number].randomElement(using: &random) ?? "0")
        case "text":
            members = [("id", "\"m-1\""), ("text", string(&random))]
            add("lang", "\"de-CH\"")
            add("meta", "{\"a\":\(string(&random)),\"b.c\":\(string(&random))}")
            add("stream", "false")
        case "status":
            add("id", "\"s:1\"")
            add("state", "\"playing\"")
            add("reply_to", "\"m_1\"")
            add("played_ms", number)
        case "cancel":
            members = [("id", "\"m.1\"")]
            add("reason", "\"enough\"")
            add("played_ms", number)
        default: members = [("seq", number)]
        }
        members.append(("type", "\"\(kind)\""))
        add("unknown1", JSONDifferentialTests.value(depth: 1, &random))
        add("unknown2", JSONDifferentialTests.value(depth: 1, &random))
        let texts = members.shuffled(using: &random).map { name, value in
            [space(&random), written(name, &random), space(&random), ":", space(&random), value, space(&random)].joined()
        }
        return space(&random) + "{" + texts.joined(separator: ",") + "}" + space(&random)
    }

    private static func space(_ random: inout SplitMix64) -> String {
        ["", "", "", " ", "\n", "\r\n\t"].randomElement(using: &random) ?? ""
    }

    /// Returns a quoted name, sometimes with its first letter escaped.
    private static func written(_ name: String, _ random: inout SplitMix64) -> String {
        guard Int.random(in: 0..<5, using: &random) == 0, let first = name.utf8.first else { return "\"\(name)\"" }
        return "\"\\u00" + String(first, radix: 16) + name.dropFirst() + "\""
    }

    private static func string(_ random: inout SplitMix64) -> String {
        let pieces = [
            "a", "plain text of some length, ", "é", "€", "😀", #"\n"#, #"\""#, #"\\"#, #"\/"#, #"\t"#, #"\u00e9"#, #"\u20AC"#,
            #"\ud83d\ude00"#,
            "\u{7F}", "\u{85}", #"\u0007"#, #"\b"#, "{", "]", ",", ":",
        ]
        return "\"x" + (0..<Int.random(in: 0...12, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined() + "\""
    }
}
