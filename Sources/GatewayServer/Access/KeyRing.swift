// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayTLS

/// The keys that verify tokens at one time.
package struct KeyRing: Sendable {
    /// A key and the `kid` that it is bound to.
    package struct Entry: Sendable {
        /// The only `kid` whose tokens the key verifies; nil for tokens with any `kid` or none.
        package var keyID: String?
        package var key: SignatureKey

        package init(keyID: String? = nil, _ key: SignatureKey) {
            self.keyID = keyID
            self.key = key
        }
    }

    package enum Check: Sendable, Equatable {
        case verified
        /// A key of the token's algorithm exists, but none of the candidates made the signature.
        case invalid
        /// No key has the token's `kid`, or none has its algorithm; a newer key set might.
        case unknownKey
    }

    /// The maximum number of signatures that are verified for one token.
    package static let maximumChecks = 8

    private let entries: [Entry]

    package init(_ entries: [Entry] = []) { self.entries = entries }

    package var isEmpty: Bool { entries.isEmpty }

    /// Verifies a token's signature with the keys of its `kid` and algorithm. A key that is bound to the token's `kid` goes first.
    ///
    /// A token without `kid` is verified by the keys of its algorithm, also by those that are bound to a `kid`.
    package func check(_ token: CompactToken) -> Check {
        var bound: [SignatureKey] = []
        var others: [SignatureKey] = []
        var isKnown = token.keyID == nil
        for entry in entries {
            if let keyID = entry.keyID, let wanted = token.keyID {
                // Bytes are compared: two strings can be equal to a reader and to Swift, and still be different names.
                guard keyID.utf8.elementsEqual(wanted.utf8) else { continue }
                isKnown = true
                if entry.key.algorithms.contains(token.algorithm) { bound.append(entry.key) }
            } else if entry.key.algorithms.contains(token.algorithm) {
                others.append(entry.key)
            }
        }
        let candidates = bound + others
        for key in candidates.prefix(Self.maximumChecks)
        where key.verify(token.algorithm, signature: token.signature, over: token.signedBytes) {
            return .verified
        }
        // Key sets have public keys only, so a newer set can't verify an HMAC either.
        guard token.algorithm.family != .hmac else { return .invalid }
        return isKnown && !(token.keyID == nil && candidates.isEmpty) ? .invalid : .unknownKey
    }
}
