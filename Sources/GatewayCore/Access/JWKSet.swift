// SPDX-License-Identifier: Apache-2.0

/// The public keys of a JWK set (RFC 7517 §5) that can verify signatures, and the reasons why others are skipped.
///
/// Keys with the same `kid` are all kept: RFC 7517 §4.5 allows them for different key types, and a signature tells which key is meant.
package struct JWKSet: Sendable, Equatable {
    package struct Key: Sendable, Equatable {
        /// The position in the set, from 1.
        package var number: Int
        /// 1 to 256 bytes; nil without one.
        package var id: String?
        package var parameters: PublicKeyParameters
        /// The only algorithm of the key (`alg`); nil for all that its kind allows.
        package var algorithm: SignatureAlgorithm?
    }

    package struct SkippedKey: Sendable, Equatable {
        /// The position in the set, from 1.
        package var number: Int
        package var fault: JWKFault
    }

    package private(set) var keys: [Key] = []
    package private(set) var skipped: [SkippedKey] = []

    package static let maximumBytes = 1 << 20
    package static let maximumKeys = 100

    /// Parses a set. A key that can't be used is skipped; a fault of the set itself rejects all of it.
    package init(_ text: [UInt8]) throws(JWKSetFault) {
        guard text.count <= Self.maximumBytes else { throw .tooLong }
        // `UInt8` has no padding that could be read.
        let bytes = unsafe text.span.bytes
        guard UTF8Validator.isValid(bytes) else { throw .invalidJSON }
        let elements: [JSONValue]
        do throws(JSONSyntaxError) {
            elements = StrictJSON.elements(of: try Self.keys(in: bytes), in: bytes)
        } catch {
            switch error.reason {
            case .duplicateKey: throw .duplicateMember
            case .notAnObject: throw .missingKeys
            default: throw .invalidJSON
            }
        }
        guard elements.count <= Self.maximumKeys else { throw .tooManyKeys }
        for (index, element) in elements.enumerated() {
            do throws(JWKFault) {
                // Each key is checked by itself, so that duplicate members don't affect the other keys.
                keys.append(try JWKMembers(Array(text[element.start..<element.end])).key(number: index + 1))
            } catch {
                skipped.append(SkippedKey(number: index + 1, fault: error))
            }
        }
    }

    /// Checks the whole text and returns the value of `keys`.
    private static func keys(in bytes: RawSpan) throws(JSONSyntaxError) -> JSONValue {
        var reader = JSONReader(at: 0, maximumDepth: StrictJSON.depth)
        reader.skipWhitespace(in: bytes)
        var members = MemberReader(depth: 1)
        var names = KeySet()
        var keys: JSONValue?
        while let (name, value) = try members.next(&reader, in: bytes) {
            guard names.insert(name.text, in: bytes) else { throw JSONSyntaxError(.duplicateKey, at: name.start) }
            var text: [UInt8] = []
            name.text.append(sanitized: false, to: &text, from: bytes)
            if text == Array("keys".utf8) { keys = value }
        }
        reader.skipWhitespace(in: bytes)
        guard reader.position == bytes.byteCount else { throw JSONSyntaxError(.trailingBytes, at: reader.position) }
        guard let keys, keys.kind == .array else { throw JSONSyntaxError(.notAnObject, at: 0) }
        return keys
    }
}
