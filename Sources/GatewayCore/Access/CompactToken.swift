// SPDX-License-Identifier: Apache-2.0

/// A token in JWS compact serialization (RFC 7515 §3.1) with a valid header. Nothing is verified yet, so nothing of it may be trusted.
package struct CompactToken: Sendable {
    /// The maximum size of a token in bytes.
    package static let maximumBytes = 8192
    /// The maximum size of `kid` in bytes.
    package static let maximumKeyIDBytes = 256

    /// The claimed algorithm, which selects among keys but never decides how a key is used.
    package let algorithm: SignatureAlgorithm
    /// The header's `kid`, compared byte by byte with the names of keys and used for nothing else; nil if absent.
    package let keyID: String?
    package let signature: [UInt8]
    /// The bytes that are signed: header and payload as sent, with the dot between them.
    package let signedBytes: ArraySlice<UInt8>
    private let payload: ArraySlice<UInt8>

    /// Header members that change how a token is processed, or carry or refer to a key. None is supported, so each is rejected.
    private static let forbiddenMembers: Set<String> = [
        "crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc", "cty",
    ]

    package init(_ text: String) throws(TokenFault) {
        // Counting the bytes of a native string doesn't copy it.
        guard text.utf8.count <= Self.maximumBytes else { throw .tooLong }
        try self.init(Array(text.utf8))
    }

    package init(_ bytes: [UInt8]) throws(TokenFault) {
        guard bytes.count <= Self.maximumBytes else { throw .tooLong }
        let parts = bytes.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) else { throw .malformed }
        guard let signature = Base64URL.decode(parts[2]) else { throw .invalidEncoding }
        let header = try Self.object(parts[0])
        self.signature = signature
        signedBytes = bytes[..<parts[1].endIndex]
        payload = parts[1]

        for (name, _) in header.members(of: header.root) ?? [] where Self.forbiddenMembers.contains(name) { throw .forbiddenMember }
        guard let name = header.member("alg").flatMap({ header.string($0) }) else { throw .missingAlgorithm }
        guard let algorithm = SignatureAlgorithm(rawValue: name) else { throw .unknownAlgorithm }
        self.algorithm = algorithm
        if let type = header.member("typ") {
            guard let type = header.string(type), Self.isSupported(type: type) else { throw .unknownType }
        }
        if let member = header.member("kid") {
            guard let keyID = header.string(member), (1...Self.maximumKeyIDBytes).contains(keyID.utf8.count) else { throw .invalidKeyID }
            self.keyID = keyID
        } else {
            keyID = nil
        }
    }

    /// Decodes the claims. Call only after the signature was verified, so that unauthenticated input reaches less code.
    package func claims() throws(TokenFault) -> TokenClaims { TokenClaims(try Self.object(payload)) }

    private static func object(_ part: ArraySlice<UInt8>) throws(TokenFault) -> StrictJSON {
        guard let bytes = Base64URL.decode(part) else { throw .invalidEncoding }
        do throws(StrictJSON.Fault) {
            return try StrictJSON(bytes)
        } catch {
            throw error == .duplicateMember ? .duplicateMember : .invalidJSON
        }
    }

    /// Returns whether `typ` names a JWT or an access token (RFC 7519 §5.1, RFC 9068 §2.1), with or without `application/`.
    private static func isSupported(type: String) -> Bool {
        var type = type.lowercased()
        if type.hasPrefix("application/") { type.removeFirst("application/".count) }
        return type == "jwt" || type == "at+jwt"
    }
}
