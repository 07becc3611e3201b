// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Names of types and fields are compared word by word; near the end of a message, where no word fits, byte by byte. Both must match the
/// same names.
@Suite struct ShortNameTests {
    private static let types = ["ping", "text", "audio", "status", "cancel", "ack", "auth", "bye"]
    private static let fields = ["id", "state", "reply_to", "played_ms"]

    /// Names similar to the given one.
    private func near(_ name: String) -> [String] {
        let last = name.unicodeScalars.last?.value ?? 0
        return [
            String(name.dropLast()), String(name.dropFirst()), name + "x", "x" + name, name + " ", name.uppercased(), name + name,
            name + "0123456789abcdef", String(name.dropLast()) + String(Character(Unicode.Scalar(UInt8(last ^ 1)))),
            String(name.dropLast()) + "é",
        ]
    }

    @Test(arguments: types)
    func `a type is matched at any distance from the end, and similar names aren't`(name: String) {
        var scanner = MessageScanner(rules: ValidationRules())
        for spaces in 0...20 {
            let after = String(repeating: " ", count: spaces)
            #expect(scan(Array(#"{"type":"\#(name)"\#(after)}"#.utf8), with: &scanner).verdict != "unsupported_type /type")
            for other in near(name) {
                #expect(
                    scan(Array(#"{"type":"\#(other)"}\#(after)"#.utf8), with: &scanner).verdict == "unsupported_type /type", "\(other)")
            }
        }
    }

    @Test(arguments: fields)
    func `a field is matched at any distance from the end, and similar names aren't`(name: String) {
        var scanner = MessageScanner(rules: ValidationRules())
        for spaces in 0...20 {
            let after = String(repeating: " ", count: spaces)
            #expect(scan(Array(#"{"type":"status","\#(name)":{}}\#(after)"#.utf8), with: &scanner).verdict == "invalid_message /\(name)")
            for other in near(name) {
                #expect(scan(Array(#"{"type":"status","\#(other)":{}}\#(after)"#.utf8), with: &scanner).verdict == "ok", "\(other)")
            }
        }
    }
}
