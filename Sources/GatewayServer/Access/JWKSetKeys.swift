// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayTLS

/// The keys of a JWK set that verify signatures, and the reasons why others are skipped.
package struct JWKSetKeys: Sendable {
    package struct Key: Sendable {
        /// Only a token with this `kid` is verified with the key; nil for tokens with any `kid`.
        package var id: String?
        package var key: SignatureKey
    }

    /// A key that isn't used, by its position in the set from 1.
    package struct SkippedKey: Sendable, Equatable {
        package var number: Int
        /// The reason, without anything of the key.
        package var reason: String
        /// Whether sets usually contain such keys.
        package var isUsual: Bool
    }

    /// At least one.
    package private(set) var keys: [Key] = []
    package private(set) var skipped: [SkippedKey] = []

    /// Parses a set and constructs its keys, which for many keys takes milliseconds. Fails if no key is usable.
    package init(_ bytes: [UInt8]) throws(JWKSetError) {
        let set: JWKSet
        do throws(JWKSetFault) { set = try JWKSet(bytes) } catch { throw .set(error, nil) }
        skipped = set.skipped.map { SkippedKey(number: $0.number, reason: $0.fault.rawValue, isUsual: $0.fault.isUsual) }
        for key in set.keys {
            do throws(SignatureKeyFault) {
                keys.append(Key(id: key.id, key: try SignatureKey(key.parameters, algorithm: key.algorithm)))
            } catch {
                skipped.append(SkippedKey(number: key.number, reason: error.description, isUsual: false))
            }
        }
        skipped.sort { $0.number < $1.number }
        guard !keys.isEmpty else { throw .set(.noUsableKey, skipped.first) }
    }
}

/// The reason why a JWK set can't be loaded. The descriptions are messages for operators and contain nothing of the set.
package enum JWKSetError: Error, Sendable {
    /// The set can't be used; with the first skipped key if that is the reason.
    case set(JWKSetFault, JWKSetKeys.SkippedKey?)
    case fetch(HTTPFetchError)
    /// The file of `auth.jwks_ca` can't be used.
    case authority(TLSConfigurationError)
    /// The file of the set can't be read, for this reason.
    case file(String)
}

extension JWKSetError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .set(let fault, let skipped): fault.rawValue + (skipped.map { "; key \($0.number): \($0.reason)" } ?? "")
        case .fetch(let error): "\(error)"
        case .authority(let error): "\(error)"
        case .file(let reason): reason
        }
    }
}
