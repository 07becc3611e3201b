// SPDX-License-Identifier: Apache-2.0

/// The members of one key of a JWK set (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2), before they are interpreted.
struct JWKMembers {
    private let document: StrictJSON
    /// The members that matter here, except those that are `null`.
    private var values: [String: JSONValue] = [:]

    private static let known: Set<String> = ["kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e"]
    /// The members of private keys and secrets.
    private static let secret: Set<String> = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
    private static let maximumKeyIDBytes = 256
    /// Above the base64url size of the longest RSA modulus, 16384 bits.
    private static let maximumParameterBytes = 4096

    /// Parses a key, and rejects private ones.
    init(_ text: [UInt8]) throws(JWKFault) {
        do throws(StrictJSON.Fault) {
            document = try StrictJSON(text)
        } catch {
            throw error == .duplicateMember ? .duplicateMember : .notAnObject
        }
        for (name, value) in document.members(of: document.root) ?? [] where value.kind != .null {
            guard !Self.secret.contains(name) else { throw .privateKey }
            if Self.known.contains(name) { values[name] = value }
        }
    }

    /// Interprets the members as a public key for signatures.
    ///
    /// - Parameter number: the position in the set, from 1
    func key(number: Int) throws(JWKFault) -> JWKSet.Key {
        guard values["kty"] != nil else { throw .missingType }
        let type = string("kty")
        guard type != "oct" else { throw .privateKey }
        guard isForVerification else { throw .otherUse }
        let algorithm = try algorithm()
        let id = try id()
        let parameters: PublicKeyParameters
        switch type {
        case "RSA": parameters = .rsa(modulus: try parameter("n"), exponent: try parameter("e"))
        case "EC":
            guard let curve = string("crv").flatMap(EllipticCurve.init(rawValue:)) else { throw .unsupportedCurve }
            parameters = .elliptic(curve, x: try parameter("x"), y: try parameter("y"))
        case "OKP":
            guard let curve = string("crv").flatMap(EdwardsCurve.init(rawValue:)) else { throw .unsupportedCurve }
            parameters = .edwards(curve, x: try parameter("x"))
        default: throw .unsupportedType
        }
        if let algorithm, !parameters.algorithms.contains(algorithm) { throw .wrongAlgorithm }
        return JWKSet.Key(number: number, id: id, parameters: parameters, algorithm: algorithm)
    }

    /// Whether `use` and `key_ops`, where present, include verifying.
    private var isForVerification: Bool {
        if values["use"] != nil, string("use") != "sig" { return false }
        guard let operations = values["key_ops"] else { return true }
        return document.strings(operations, atMost: 16, ofBytes: 64)?.contains("verify") ?? false
    }

    private func algorithm() throws(JWKFault) -> SignatureAlgorithm? {
        guard values["alg"] != nil else { return nil }
        guard let algorithm = string("alg").flatMap(SignatureAlgorithm.init(rawValue:)), algorithm.family != .hmac else {
            throw .unsupportedAlgorithm
        }
        return algorithm
    }

    private func id() throws(JWKFault) -> String? {
        guard values["kid"] != nil else { return nil }
        guard let id = string("kid"), (1...Self.maximumKeyIDBytes).contains(id.utf8.count) else { throw .invalidKeyID }
        return id
    }

    private func parameter(_ name: String) throws(JWKFault) -> [UInt8] {
        guard let text = string(name), text.utf8.count <= Self.maximumParameterBytes, let decoded = Base64URL.decode(text.utf8),
            !decoded.isEmpty
        else { throw .invalidParameter }
        return decoded
    }

    /// Returns a member that is a string, unescaped and not sanitized.
    private func string(_ name: String) -> String? { values[name].flatMap { document.string($0) } }
}

extension PublicKeyParameters {
    /// The algorithms that the kind and the curve of the key allow.
    fileprivate var algorithms: [SignatureAlgorithm] {
        switch self {
        case .rsa: SignatureAlgorithm.all(of: .rsa)
        case .elliptic(let curve, _, _): [curve.algorithm]
        case .edwards: [.edDSA]
        }
    }
}
