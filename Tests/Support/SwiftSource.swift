// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The text of a Swift file, prepared for a search: comments and the contents of string literals are masked with spaces.
///
/// Supports what this repository's formatted code uses: line and block comments, string literals with interpolations, multi-line and raw
/// literals.
package struct SwiftSource: Sendable {
    /// A string literal, whose interpolations are replaced by `…`.
    package struct Literal: Sendable {
        /// The range from the first quote to after the last.
        package let range: Range<Int>
        package let text: String
    }

    /// A function, initializer, or property with a body.
    package struct Function: Sendable {
        package let name: String
        /// The text between the parentheses of its parameters.
        package let parameters: Range<Int>
        /// From its name to the closing brace.
        package let range: Range<Int>
    }

    package let path: String
    /// The masked text.
    package let text: [UInt8]
    package private(set) var literals: [Literal] = []

    package init(path: String, _ source: String) {
        self.path = path
        var scanner = Scanner(bytes: Array(source.utf8))
        scanner.run()
        text = scanner.masked
        literals = scanner.literals
    }

    /// Returns the line number of an offset, starting at 1.
    package func line(of offset: Int) -> Int { 1 + text[..<offset].count { $0 == 0x0A } }

    package func string(_ range: Range<Int>) -> String { String(decoding: text[range], as: UTF8.self) }

    /// Returns the offsets at which a word occurs, not as a part of a longer one.
    package func occurrences(of word: String, in range: Range<Int>) -> [Int] {
        let word = Array(word.utf8)
        guard range.count >= word.count else { return [] }
        return (range.lowerBound...range.upperBound - word.count).filter { offset in
            text[offset] == word[0] && text[offset..<offset + word.count].elementsEqual(word)
                && (offset == 0 || !Self.isIdentifier(text[offset - 1]) || !Self.isIdentifier(word[0]))
                && (offset + word.count == text.count || !Self.isIdentifier(text[offset + word.count])
                    || !Self.isIdentifier(word[word.count - 1]))
        }
    }

    /// Returns the offsets of a text that ends a word.
    package func endings(of suffix: String) -> [Int] {
        let suffix = Array(suffix.utf8)
        guard text.count >= suffix.count else { return [] }
        return (0...text.count - suffix.count).filter { offset in
            text[offset] == suffix[0] && text[offset..<offset + suffix.count].elementsEqual(suffix)
                && (offset + suffix.count == text.count || !Self.isIdentifier(text[offset + suffix.count]))
        }
    }

    package func literals(in range: Range<Int>) -> [Literal] {
        literals.filter { range.lowerBound <= $0.range.lowerBound && $0.range.upperBound <= range.upperBound }
    }

    /// Returns the offset of the bracket that closes the one at `offset`.
    package func end(of offset: Int) -> Int? {
        var depth = 0
        for index in offset..<text.count {
            switch text[index] {
            case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
                depth -= 1
                if depth == 0 { return index }
            default: break
            }
        }
        return nil
    }

    /// Splits a range at the commas outside of brackets.
    package func elements(in range: Range<Int>) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var depth = 0
        var start = range.lowerBound
        for index in range {
            switch text[index] {
            case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: ",") where depth == 0:
                result.append(start..<index)
                start = index + 1
            default: break
            }
        }
        if string(start..<range.upperBound).contains(where: { !$0.isWhitespace }) || !literals(in: start..<range.upperBound).isEmpty {
            result.append(start..<range.upperBound)
        }
        return result
    }

    /// The functions and initializers, and the properties of the type `Logger.Metadata`.
    package var functions: [Function] {
        let all = 0..<text.count
        var result: [Function] = []
        for keyword in ["func", "init"] {
            for offset in occurrences(of: keyword, in: all) {
                guard let open = text[offset...].firstIndex(of: UInt8(ascii: "(")), let close = end(of: open) else { continue }
                let name = keyword == "init" ? "init" : string(offset + 5..<open).trimmingCharacters(in: .whitespaces)
                guard !name.contains("\n"), let body = self.body(after: close + 1), let last = end(of: body) else { continue }
                result.append(Function(name: name, parameters: open + 1..<close, range: offset..<last + 1))
            }
        }
        for offset in occurrences(of: ": Logger.Metadata {", in: all) {
            let start = (text[..<offset].lastIndex { !Self.isIdentifier($0) } ?? -1) + 1
            guard let body = text[offset...].firstIndex(of: UInt8(ascii: "{")), let last = end(of: body) else { continue }
            result.append(Function(name: string(start..<offset), parameters: start..<start, range: start..<last + 1))
        }
        return result
    }

    /// Returns the opening brace of a declaration's body, or nil if another declaration comes first, as in a protocol.
    private func body(after offset: Int) -> Int? {
        var index = offset
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "{"): return index
            case UInt8(ascii: "}"), UInt8(ascii: "="): return nil
            case UInt8(ascii: "("), UInt8(ascii: "["):
                guard let close = end(of: index) else { return nil }
                index = close
            default: break
            }
            index += 1
        }
        return nil
    }

    static func isIdentifier(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension SwiftSource {
    /// Finds comments and literals.
    private struct Scanner {
        let bytes: [UInt8]
        var masked: [UInt8]
        var literals: [Literal] = []
        private var index = 0

        init(bytes: [UInt8]) {
            self.bytes = bytes
            masked = bytes
        }

        mutating func run() {
            while index < bytes.count {
                if starts(with: "//") {
                    mask { !$0.starts(with: "\n") }
                } else if starts(with: "/*") {
                    mask { !$0.starts(with: "*/") }
                } else if let quote = quote() {
                    literal(quote)
                } else {
                    index += 1
                }
            }
        }

        private func starts(with text: StaticString) -> Bool {
            let count = text.utf8CodeUnitCount
            guard index + count <= bytes.count else { return false }
            return text.withUTF8Buffer { bytes[index..<index + count].elementsEqual($0) }
        }

        private mutating func mask(while condition: (Self) -> Bool) {
            while index < bytes.count, condition(self) { maskByte() }
        }

        private mutating func maskByte() {
            if bytes[index] != 0x0A { masked[index] = 0x20 }
            index += 1
        }

        /// Returns the number of `#` and quotes if a literal starts here.
        private func quote() -> (pounds: Int, quotes: Int)? {
            let pounds = bytes[index...].prefix { $0 == UInt8(ascii: "#") }.count
            let start = index + pounds
            guard start < bytes.count, bytes[start] == UInt8(ascii: "\"") else { return nil }
            let isMultiline = start + 2 < bytes.count && bytes[start + 1] == bytes[start] && bytes[start + 2] == bytes[start]
            return (pounds, isMultiline ? 3 : 1)
        }

        private mutating func literal(_ quote: (pounds: Int, quotes: Int)) {
            let start = index
            let pounds = [UInt8](repeating: UInt8(ascii: "#"), count: quote.pounds)
            let end = [UInt8](repeating: UInt8(ascii: "\""), count: quote.quotes) + pounds
            let escape = [UInt8(ascii: "\\")] + pounds
            index += quote.pounds + quote.quotes
            var text: [UInt8] = []
            while index < bytes.count, !bytes[index...].starts(with: end) {
                if bytes[index...].starts(with: escape) {
                    for _ in escape { maskByte() }
                    guard index < bytes.count else { break }
                    if bytes[index] == UInt8(ascii: "(") {
                        interpolation()
                        text += Array("…".utf8)
                        continue
                    }
                }
                text.append(bytes[index])
                maskByte()
            }
            index = min(bytes.count, index + end.count)
            literals.append(Literal(range: start..<index, text: String(decoding: text, as: UTF8.self)))
        }

        /// Masks an interpolation from its opening to its closing parenthesis, with the literals in it.
        private mutating func interpolation() {
            var depth = 0
            while index < bytes.count {
                if let quote = quote() {
                    let count = literals.count
                    let start = index
                    literal(quote)
                    literals.removeSubrange(count...)
                    for position in start..<index where bytes[position] != 0x0A { masked[position] = 0x20 }
                    continue
                }
                let byte = bytes[index]
                maskByte()
                if byte == UInt8(ascii: "(") { depth += 1 }
                if byte == UInt8(ascii: ")") {
                    depth -= 1
                    if depth == 0 { return }
                }
            }
        }
    }
}
