// SPDX-License-Identifier: Apache-2.0

/// A key press on a terminal, a character, or the beginning or end of a paste.
package enum TerminalKey: Sendable, Hashable {
    case scalar(Unicode.Scalar)
    case enter, backspace, delete, left, right, up, down, home, end
    case wordLeft, wordRight, eraseWordLeft, eraseWordRight, eraseToStart, eraseToEnd, yank, transpose, clearScreen
    /// Ctrl-C, Ctrl-D, Ctrl-Z and Ctrl-\.
    case interrupt, endOfInput, suspend, quit
    case pasteBegin, pasteEnd
}

/// Parses the bytes of a terminal in raw mode into keys: UTF-8, control characters, and the escape sequences of VT220 and xterm.
///
/// Unknown sequences are skipped, whatever their length; malformed UTF-8 becomes U+FFFD.
package struct TerminalKeyReader: Sendable {
    private enum State {
        case ground
        case escape
        /// In a control sequence, after `ESC [`: its first ``longestSequence`` bytes.
        case control([UInt8])
        /// In a single shift sequence, after `ESC O`.
        case singleShift
    }

    /// Maximum number of bytes kept of a control sequence; the longest known sequence has four.
    private static let longestSequence = 16

    private var state = State.ground
    /// The bytes of an incomplete UTF-8 character.
    private var partial: [UInt8] = []
    private var expected = 0
    private var isPasting = false
    private var wasReturn = false

    package init() {}

    package mutating func read(_ bytes: some Sequence<UInt8>) -> [TerminalKey] {
        var keys: [TerminalKey] = []
        for byte in bytes { parse(byte, into: &keys) }
        return keys
    }

    private mutating func parse(_ byte: UInt8, into keys: inout [TerminalKey]) {
        switch state {
        case .ground: parseGround(byte, into: &keys)
        case .escape:
            switch byte {
            case UInt8(ascii: "["): state = .control([])
            case UInt8(ascii: "O"): state = .singleShift
            case 0x1B: break
            default:
                state = .ground
                if !isPasting, let key = Self.meta(byte) { keys.append(key) }
            }
        case .singleShift:
            state = .ground
            if !isPasting, let key = Self.control([byte]) { keys.append(key) }
        case .control(var sequence):
            if sequence.count < Self.longestSequence { sequence.append(byte) }
            guard 0x40...0x7E ~= byte else {
                // A control character aborts the sequence.
                state = byte < 0x20 ? .ground : .control(sequence)
                return
            }
            state = .ground
            sequenceEnded(sequence, into: &keys)
        }
    }

    private mutating func sequenceEnded(_ sequence: [UInt8], into keys: inout [TerminalKey]) {
        switch String(decoding: sequence, as: UTF8.self) {
        case "200~":
            isPasting = true
            wasReturn = false
            keys.append(.pasteBegin)
        case "201~":
            isPasting = false
            keys.append(.pasteEnd)
        default:
            if !isPasting, let key = Self.control(sequence) { keys.append(key) }
        }
    }

    private mutating func parseGround(_ byte: UInt8, into keys: inout [TerminalKey]) {
        if !partial.isEmpty {
            if byte & 0xC0 == 0x80 {
                partial.append(byte)
                if partial.count == expected { finishCharacter(into: &keys) }
                return
            }
            finishCharacter(into: &keys)
        }
        if byte >= 0x80 {
            expected = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
            partial = [byte]
            if !(0xC2...0xF4 ~= byte) { finishCharacter(into: &keys) }
            return
        }
        if byte == 0x1B {
            state = .escape
        } else if isPasting {
            parsePasted(byte, into: &keys)
        } else if byte >= 0x20, byte != 0x7F {
            keys.append(.scalar(Unicode.Scalar(byte)))
        } else if let key = Self.key(byte) {
            keys.append(key)
        }
    }

    /// Parses pasted text: line breaks are part of it, other control characters are dropped.
    private mutating func parsePasted(_ byte: UInt8, into keys: inout [TerminalKey]) {
        defer { wasReturn = byte == 0x0D }
        switch byte {
        case 0x0D: keys.append(.scalar("\n"))
        case 0x0A: if !wasReturn { keys.append(.scalar("\n")) }
        case 0x09, 0x20...0x7E: keys.append(.scalar(Unicode.Scalar(byte)))
        default: break
        }
    }

    private mutating func finishCharacter(into keys: inout [TerminalKey]) {
        for scalar in String(decoding: partial, as: UTF8.self).unicodeScalars where !(0x80..<0xA0 ~= scalar.value) {
            keys.append(.scalar(scalar))
        }
        partial = []
    }

    private static func key(_ byte: UInt8) -> TerminalKey? {
        switch byte {
        case 0x01: .home
        case 0x02: .left
        case 0x03: .interrupt
        case 0x04: .endOfInput
        case 0x05: .end
        case 0x06: .right
        case 0x08, 0x7F: .backspace
        case 0x09: .scalar("\t")
        case 0x0A, 0x0D: .enter
        case 0x0B: .eraseToEnd
        case 0x0C: .clearScreen
        case 0x0E: .down
        case 0x10: .up
        case 0x14: .transpose
        case 0x15: .eraseToStart
        case 0x17: .eraseWordLeft
        case 0x19: .yank
        case 0x1A: .suspend
        case 0x1C: .quit
        default: nil
        }
    }

    private static func meta(_ byte: UInt8) -> TerminalKey? {
        switch byte {
        case UInt8(ascii: "b"): .wordLeft
        case UInt8(ascii: "f"): .wordRight
        case UInt8(ascii: "d"): .eraseWordRight
        case 0x08, 0x7F: .eraseWordLeft
        default: nil
        }
    }

    /// Returns the key of a sequence after `ESC [` or `ESC O`; nil if it is unknown.
    private static func control(_ sequence: [UInt8]) -> TerminalKey? {
        switch String(decoding: sequence, as: UTF8.self) {
        case "A": .up
        case "B": .down
        case "C": .right
        case "D": .left
        case "H", "1~", "7~": .home
        case "F", "4~", "8~": .end
        case "3~": .delete
        case "1;5C", "1;3C", "5C": .wordRight
        case "1;5D", "1;3D", "5D": .wordLeft
        case "3;5~", "3;3~": .eraseWordRight
        default: nil
        }
    }
}
