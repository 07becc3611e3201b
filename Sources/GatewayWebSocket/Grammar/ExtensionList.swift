// SPDX-License-Identifier: Apache-2.0

/// The parsed value of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
package struct ExtensionList: Equatable {
    /// The value violates the grammar.
    package struct Malformed: Error {}

    package struct Extension: Equatable {
        package var name: String
        package var parameters: [Parameter] = []
    }

    package struct Parameter: Equatable {
        package var name: String
        /// The value without quotes and backslashes; nil when absent.
        package var value: String?
    }

    package private(set) var extensions: [Extension] = []

    /// - Throws: for a value that violates the grammar; RFC 6455 §9.1 requires the connection to fail then
    package init(_ fields: [String]) throws(Malformed) {
        for field in fields {
            var scanner = Scanner(bytes: Array(field.utf8))
            while try scanner.skipToElement() {
                extensions.append(try scanner.element())
            }
        }
    }

    private struct Scanner {
        let bytes: [UInt8]
        var offset = 0

        init(bytes: [UInt8]) {
            self.bytes = bytes
        }

        /// Skips empty elements. Returns false at the end.
        mutating func skipToElement() throws(Malformed) -> Bool {
            skipWhitespace()
            while consume(0x2C) { skipWhitespace() }
            return offset < bytes.count
        }

        mutating func element() throws(Malformed) -> Extension {
            var result = Extension(name: try token())
            skipWhitespace()
            while consume(0x3B) {
                skipWhitespace()
                var parameter = Parameter(name: try token())
                skipWhitespace()
                if consume(0x3D) {
                    skipWhitespace()
                    parameter.value = consume(0x22) ? try quotedToken() : try token()
                    skipWhitespace()
                }
                result.parameters.append(parameter)
            }
            guard offset == bytes.count || bytes[offset] == 0x2C else { throw Malformed() }
            return result
        }

        private mutating func token() throws(Malformed) -> String {
            let start = offset
            while offset < bytes.count, HeaderGrammar.isTokenCharacter(bytes[offset]) { offset += 1 }
            guard offset > start else { throw Malformed() }
            return String(decoding: bytes[start..<offset], as: UTF8.self)
        }

        /// Parses the rest of a quoted string. Without its backslashes, its content must be a token (RFC 6455 §9.1).
        private mutating func quotedToken() throws(Malformed) -> String {
            var value: [UInt8] = []
            while offset < bytes.count, bytes[offset] != 0x22 {
                if bytes[offset] == 0x5C { offset += 1 }
                guard offset < bytes.count, HeaderGrammar.isTokenCharacter(bytes[offset]) else { throw Malformed() }
                value.append(bytes[offset])
                offset += 1
            }
            guard consume(0x22), !value.isEmpty else { throw Malformed() }
            return String(decoding: value, as: UTF8.self)
        }

        private mutating func consume(_ byte: UInt8) -> Bool {
            guard offset < bytes.count, bytes[offset] == byte else { return false }
            offset += 1
            return true
        }

        private mutating func skipWhitespace() {
            while offset < bytes.count, HeaderGrammar.isWhitespace(bytes[offset]) { offset += 1 }
        }
    }
}
