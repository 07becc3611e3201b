// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket

/// The parsed value of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
struct ExtensionList: Equatable {
    struct Extension: Equatable {
        var name: String
        var parameters: [Parameter] = []
    }

    struct Parameter: Equatable {
        var name: String
        /// The value without quotes and backslashes; nil when absent.
        var value: String?
    }

    private(set) var extensions: [Extension] = []

    /// - Throws: ``UpgradeFailure/extensions`` for a value that violates the grammar: RFC 6455 §9.1 requires the connection to fail then.
    init(_ fields: [String]) throws(UpgradeFailure) {
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
        mutating func skipToElement() throws(UpgradeFailure) -> Bool {
            skipWhitespace()
            while consume(0x2C) { skipWhitespace() }
            return offset < bytes.count
        }

        mutating func element() throws(UpgradeFailure) -> Extension {
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
            guard offset == bytes.count || bytes[offset] == 0x2C else { throw .extensions }
            return result
        }

        private mutating func token() throws(UpgradeFailure) -> String {
            let start = offset
            while offset < bytes.count, HeaderGrammar.isTokenCharacter(bytes[offset]) { offset += 1 }
            guard offset > start else { throw .extensions }
            return String(decoding: bytes[start..<offset], as: UTF8.self)
        }

        /// Parses the rest of a quoted string. Without its backslashes, its content must be a token (RFC 6455 §9.1).
        private mutating func quotedToken() throws(UpgradeFailure) -> String {
            var value: [UInt8] = []
            while offset < bytes.count, bytes[offset] != 0x22 {
                if bytes[offset] == 0x5C { offset += 1 }
                guard offset < bytes.count, HeaderGrammar.isTokenCharacter(bytes[offset]) else { throw .extensions }
                value.append(bytes[offset])
                offset += 1
            }
            guard consume(0x22), !value.isEmpty else { throw .extensions }
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
