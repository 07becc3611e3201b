// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayTLS

/// The configured keys, read from their files, and the key that signs minted tokens.
package struct TokenKeys: Sendable {
    /// A key that signs minted tokens.
    package struct Signer: Sendable {
        package var keyID: String?
        package var algorithm: SignatureAlgorithm
        package var key: SignatureKey
    }

    /// All keys that can't be used, each with its reason.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package var problems: [SignatureKeyFault]

        package var description: String { problems.map(\.description).joined(separator: "; ") }
    }

    package let entries: [KeyRing.Entry]
    /// The first secret, else the minting key; nil if neither is configured.
    package let signer: Signer?

    /// Reads the keys of `settings`. Fails with all problems at once.
    package init(_ settings: TokenSettings) throws(Fault) {
        var entries: [KeyRing.Entry] = []
        var signer: Signer?
        var problems: [SignatureKeyFault] = []
        for secret in settings.secrets {
            do throws(SignatureKeyFault) {
                let key = try SignatureKey(secret: Array(secret.utf8))
                entries.append(KeyRing.Entry(key))
                if signer == nil { signer = Signer(algorithm: .hs256, key: key) }
            } catch {
                problems.append(error)
            }
        }
        if let file = settings.mintingKey {
            do throws(SignatureKeyFault) {
                let key = try SignatureKey(privateKeyFile: file.path, algorithm: file.algorithm)
                entries.append(KeyRing.Entry(keyID: file.keyID, key))
                if signer == nil { signer = Signer(keyID: file.keyID, algorithm: file.algorithm, key: key) }
            } catch {
                problems.append(error)
            }
        }
        for file in settings.publicKeys {
            do throws(SignatureKeyFault) {
                entries.append(KeyRing.Entry(keyID: file.keyID, try SignatureKey(publicKeyFile: file.path, algorithm: file.algorithm)))
            } catch {
                problems.append(error)
            }
        }
        guard problems.isEmpty else { throw Fault(problems: problems) }
        self.entries = entries
        self.signer = signer
    }
}

/// The key that signs minted tokens when none is configured: ES256, made at start.
package struct GeneratedTokenKey: Sendable {
    package let signer: TokenKeys.Signer
    /// The private key as PEM (PKCS #8), for a shared store.
    package let pem: String

    /// Generates a key with a random `kid`.
    package init() throws(SignatureKeyFault) {
        let (key, pem) = try SignatureKey.generate()
        self.init(keyID: TokenID.random(), key: key, pem: pem)
    }

    /// Restores a key that was stored.
    package init(keyID: String, pem: String) throws(SignatureKeyFault) {
        self.init(keyID: keyID, key: try SignatureKey(privateKeyPEM: Array(pem.utf8), algorithm: .es256), pem: pem)
    }

    private init(keyID: String, key: SignatureKey, pem: String) {
        signer = TokenKeys.Signer(keyID: keyID, algorithm: .es256, key: key)
        self.pem = pem
    }

    package var keyID: String { signer.keyID ?? "" }
}

/// Random identifiers of tokens and keys.
enum TokenID {
    /// Returns 128 random bits in base64url, 22 characters.
    static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return String(decoding: Base64URL.encode(bytes), as: UTF8.self)
    }
}
