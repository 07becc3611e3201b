// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// A reference JSON parser to compare the scanner with: recursive, byte by byte, building a tree.
indirect enum ReferenceJSON {
    case null, bool(Bool), number(String), string(Text), array([ReferenceJSON]), object([(key: Text, value: ReferenceJSON)])

    struct Text: Equatable {
        var scalars: [UInt32] = []
        var hasLoneSurrogate = false

        /// The sanitized text as UTF-8.
        var sanitized: [UInt8] {
            var string = ""
            for scalar in scalars where scalar == 9 || scalar == 10 || !(scalar < 32 || 127..<160 ~= scalar) {
                string.unicodeScalars.append(Unicode.Scalar(scalar) ?? "\u{FFFD}")
            }
            return Array(string.utf8)
        }

        func `is`(_ string: String) -> Bool { scalars == string.unicodeScalars.map(\.value) }
    }

    struct Rejection: Error {}

    static func read(_ bytes: [UInt8], maxDepth: Int) -> ReferenceJSON? {
        guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
        var parser = Parser(bytes: bytes, maxDepth: maxDepth)
        return try? parser.document()
    }

    /// Returns whether the message has any fault that is reported as `invalid_json`.
    static func isInvalid(_ bytes: [UInt8], maxDepth: Int) -> Bool {
        guard case .object(let members)? = read(bytes, maxDepth: maxDepth) else { return true }
        guard hasGoodKeys(members) else { return true }
        guard case .string(let type)? = value("type", of: members) else { return false }
        if type.hasLoneSurrogate { return true }
        let known: [String]
        switch String(decoding: type.sanitized, as: UTF8.self) {
        case "ping": known = ["id", "ts"]
        case "text": known = ["id", "text", "lang", "stream", "output", "meta"]
        case "audio": known = ["id", "format", "lang", "output", "meta", "data", "final", "from"]
        case "status": known = ["id", "state", "reply_to", "played_ms"]
        case "cancel": known = ["id", "reason", "played_ms"]
        case "ack": known = ["seq"]
        case "auth": known = ["token"]
        default: known = []
        }
        for name in known {
            switch value(name, of: members) {
            case .string(let text): if text.hasLoneSurrogate { return true }
            case .object(let inner):
                switch name {
                case "format": if !isGood(inner, strings: ["codec", "rate", "channels"]) { return true }
                case "meta": if !isGood(inner, strings: nil) { return true }
                case "output":
                    if !isGood(inner, strings: ["modalities", "format", "voice"]) { return true }
                    if case .object(let format)? = value("format", of: inner), !isGood(format, strings: ["codec", "rate", "channels"]) {
                        return true
                    }
                default: break
                }
            default: break
            }
        }
        return false
    }

    static func value(_ name: String, of members: [(key: Text, value: ReferenceJSON)]) -> ReferenceJSON? {
        members.first { $0.key.is(name) }?.value
    }

    private static func hasGoodKeys(_ members: [(key: Text, value: ReferenceJSON)]) -> Bool {
        let keys = members.map(\.key)
        return Set(keys.map(\.scalars)).count == keys.count && !keys.contains { $0.hasLoneSurrogate }
    }

    /// Returns whether the keys are unique and valid, and the named strings, or all strings if nil, have no lone surrogate.
    private static func isGood(_ members: [(key: Text, value: ReferenceJSON)], strings: [String]?) -> Bool {
        hasGoodKeys(members)
            && !members.contains { member in
                guard case .string(let text) = member.value, text.hasLoneSurrogate else { return false }
                return strings?.contains { member.key.is($0) } ?? true
            }
    }
}

private struct Parser {
    let bytes: [UInt8]
    let maxDepth: Int
    var position = 0

    init(bytes: [UInt8], maxDepth: Int) {
        self.bytes = bytes
        self.maxDepth = maxDepth
    }

    mutating func document() throws -> ReferenceJSON {
        skipSpace()
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw ReferenceJSON.Rejection() }
        return value
    }

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
        while let byte = current, [32, 9, 10, 13].contains(byte) { position += 1 }
    }

    mutating func accept(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func expect(_ text: String) throws {
        for scalar in text.unicodeScalars where !accept(scalar) { throw ReferenceJSON.Rejection() }
    }

    mutating func value(depth: Int) throws -> ReferenceJSON {
        switch current.map({ Unicode.Scalar($0) }) {
        case "{":
            guard depth < maxDepth else { throw ReferenceJSON.Rejection() }
            return try object(depth: depth + 1)
        case "[":
            guard depth < maxDepth else { throw ReferenceJSON.Rejection() }
            return try array(depth: depth + 1)
        case "\"": return .string(try string())
        case "t":
            try expect("true")
            return .bool(true)
        case "f":
            try expect("false")
            return .bool(false)
        case "n":
            try expect("null")
            return .null
        default: return try number()
        }
    }

    mutating func object(depth: Int) throws -> ReferenceJSON {
        var members: [(key: ReferenceJSON.Text, value: ReferenceJSON)] = []
        try expect("{")
        skipSpace()
        if accept("}") { return .object([]) }
        repeat {
            skipSpace()
            let key = try string()
            skipSpace()
            try expect(":")
            skipSpace()
            members.append((key, try value(depth: depth)))
            skipSpace()
        } while accept(",")
        try expect("}")
        return .object(members)
    }

    mutating func array(depth: Int) throws -> ReferenceJSON {
        var values: [ReferenceJSON] = []
        try expect("[")
        skipSpace()
        if accept("]") { return .array([]) }
        repeat {
            skipSpace()
            values.append(try value(depth: depth))
            skipSpace()
        } while accept(",")
        try expect("]")
        return .array(values)
    }

    mutating func number() throws -> ReferenceJSON {
        let start = position
        _ = accept("-")
        if !accept("0") { try digits() }
        if accept(".") { try digits() }
        if accept("e") || accept("E") {
            if !accept("+") { _ = accept("-") }
            try digits()
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    mutating func digits() throws {
        let start = position
        while let byte = current, 48...57 ~= byte { position += 1 }
        guard position > start else { throw ReferenceJSON.Rejection() }
    }

    mutating func string() throws -> ReferenceJSON.Text {
        try expect("\"")
        var units: [UInt16] = []
        while true {
            guard let byte = current, byte >= 32 else { throw ReferenceJSON.Rejection() }
            position += 1
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                units.append(try escape())
            } else {
                var raw = [byte]
                if byte >= 0x80 {
                    while let next = current, next & 0xC0 == 0x80 {
                        raw.append(next)
                        position += 1
                    }
                }
                units += Array(String(decoding: raw, as: UTF8.self).utf16)
            }
        }
        var text = ReferenceJSON.Text()
        var index = 0
        while index < units.count {
            let unit = UInt32(units[index])
            if 0xD800..<0xDC00 ~= unit, index + 1 < units.count, 0xDC00..<0xE000 ~= units[index + 1] {
                text.scalars.append(0x10000 + (unit - 0xD800) * 0x400 + (UInt32(units[index + 1]) - 0xDC00))
                index += 1
            } else if 0xD800..<0xE000 ~= unit {
                text.hasLoneSurrogate = true
                text.scalars.append(0xFFFD)
            } else {
                text.scalars.append(unit)
            }
            index += 1
        }
        return text
    }

    mutating func escape() throws -> UInt16 {
        guard let letter = current else { throw ReferenceJSON.Rejection() }
        position += 1
        switch Unicode.Scalar(letter) {
        case "\"", "\\", "/": return UInt16(letter)
        case "b": return 8
        case "f": return 12
        case "n": return 10
        case "r": return 13
        case "t": return 9
        case "u":
            guard bytes.count - position >= 4 else { throw ReferenceJSON.Rejection() }
            let digits = bytes[position..<position + 4]
            guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isASCII && Character(Unicode.Scalar($0)).isHexDigit }),
                let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
            else { throw ReferenceJSON.Rejection() }
            position += 4
            return unit
        default: throw ReferenceJSON.Rejection()
        }
    }
}
