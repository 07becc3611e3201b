// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import GatewayTLS

/// One key of each kind, made once per process.
enum TokenTestKeys {
    static let secret = "a secret of at least 32 bytes, for tests only"
    static let kinds: [GeneratedKey.Kind] = [.rsa, .p256, .p384, .p521, .ed25519, .ed448]

    /// The generated key pairs, in the order of ``kinds``. A key that can't be generated is missing, which fails the tests that count.
    static let generated: [GeneratedKey] = kinds.compactMap { try? GeneratedKey($0) }

    /// A signing key of each kind and the key that verifies its signatures; for the secret the same key.
    static let pairs: [(SignatureKey, SignatureKey)] = {
        var pairs: [(SignatureKey, SignatureKey)] = []
        if let secret = try? SignatureKey(secret: Array(secret.utf8)) { pairs.append((secret, secret)) }
        for key in generated {
            guard let signer = try? SignatureKey(privateKeyPEM: Array(key.pem.utf8), algorithm: nil), let text = key.publicPEM,
                let verifier = try? SignatureKey(publicKeyPEM: Array(text.utf8), algorithm: nil)
            else { continue }
            pairs.append((signer, verifier))
        }
        return pairs
    }()

    static func pair(for algorithm: SignatureAlgorithm) -> (SignatureKey, SignatureKey)? {
        pairs.first { $0.0.algorithms.contains(algorithm) }
    }

    /// Unix milliseconds.
    static let now: Int64 = 1_800_000_000_000
    static let claims = #"{"sub":"u1","iat":1800000000,"exp":1800000060}"#

    /// Returns a token with the header and the claims as given, signed by `key`.
    static func token(_ header: String, _ claims: String = claims, key: SignatureKey, _ algorithm: SignatureAlgorithm) throws -> String {
        let bytes = Base64URL.encode(Array(header.utf8)) + [UInt8(ascii: ".")] + Base64URL.encode(Array(claims.utf8))
        let signature = try key.sign(algorithm, bytes[...])
        return String(decoding: bytes + [UInt8(ascii: ".")] + Base64URL.encode(signature), as: UTF8.self)
    }

    static func authority(_ settings: TokenSettings = TokenSettings(), keys: [KeyRing.Entry] = []) throws -> TokenAuthority {
        let authority = try TokenAuthority(settings, generated: GeneratedTokenKey())
        authority.replaceKeySet(keys)
        return authority
    }
}
