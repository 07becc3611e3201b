// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket

/// The target of a request: its path and the query parameters that Parley supports.
package struct RequestTarget: Sendable, Equatable {
    /// The parsed value of `last_seq`.
    package enum LastSequence: Sendable, Equatable {
        case absent
        case value(UInt64)
        case malformed
    }

    /// The path as sent, without the query and still percent-encoded: no path of the gateway needs encoding.
    package let path: String
    /// `last_seq`.
    package private(set) var lastSequence = LastSequence.absent
    /// `errors=inband`: the client requests rejections as messages, because it can't read an HTTP response.
    package private(set) var errorsInBand = false
    /// `access_token`, `token` or `bearer`.
    package private(set) var bearer: String?
    /// `resume` or `resume_token`.
    package private(set) var resume: String?
    /// Whether the query has a credential, even an empty one. Such a request is rejected unless `http.query_tokens` is on.
    package private(set) var hasCredential = false

    /// - Parameter target: the request target in origin form, or in absolute form for http and https (RFC 9112 §3.2).
    /// - Throws: ``UpgradeFailure/target`` when the target has neither form, has a fragment, or has percent-encoding that is malformed or doesn't
    ///   decode to UTF-8; ``UpgradeFailure/conflictingCredentials`` for two different tokens.
    package init(_ target: String) throws(UpgradeFailure) {
        // NIO has already rejected control characters; the other characters that a URI can't contain are rejected here.
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x23 }) else { throw .target }
        var rest = Substring(target)
        for scheme in ["http://", "https://"] where HeaderGrammar.equal(rest.prefix(scheme.count), scheme) {
            rest = rest.dropFirst(scheme.count)
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            guard !authority.isEmpty else { throw .target }
            rest = rest.dropFirst(authority.count)
            if rest.first != "/" { rest = "/" + rest }
            break
        }
        guard rest.first == "/" else { throw .target }
        let pathEnd = rest.firstIndex(of: "?") ?? rest.endIndex
        path = String(rest[..<pathEnd])
        guard pathEnd < rest.endIndex else { return }
        for pair in rest[rest.index(after: pathEnd)...].split(separator: "&") {
            let nameEnd = pair.firstIndex(of: "=") ?? pair.endIndex
            let name = try Self.decoded(pair[..<nameEnd])
            let value = nameEnd < pair.endIndex ? try Self.decoded(pair[pair.index(after: nameEnd)...]) : ""
            try apply(name.lowercased(), value)
        }
    }

    private mutating func apply(_ name: String, _ value: String) throws(UpgradeFailure) {
        switch name {
        case "last_seq":
            if lastSequence == .absent, let number = Self.number(value) {
                lastSequence = .value(number)
            } else {
                lastSequence = .malformed
            }
        case "errors":
            if value == "inband" { errorsInBand = true }
        case "access_token", "token", "bearer":
            hasCredential = true
            guard bearer == nil || bearer == value else { throw .conflictingCredentials }
            bearer = value
        case "resume", "resume_token":
            hasCredential = true
            guard resume == nil || resume == value else { throw .conflictingCredentials }
            resume = value
        default:
            break
        }
    }

    /// Parses decimal digits, without a sign or spaces.
    private static func number(_ text: String) -> UInt64? {
        guard text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        return UInt64(text)
    }

    /// Removes percent-encoding (RFC 3986 §2.1). A plus sign isn't decoded to a space.
    static func decoded(_ text: Substring) throws(UpgradeFailure) -> String {
        guard text.utf8.contains(0x25) else { return String(text) }
        var bytes: [UInt8] = []
        var source = text.utf8.makeIterator()
        while let byte = source.next() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            guard let high = source.next().flatMap(hexadecimal), let low = source.next().flatMap(hexadecimal) else { throw .target }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else { throw .target }
        return decoded
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
