// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayTLS
import Synchronization

/// Verifies, mints and revokes tokens. Shared by all event loops and the operations listener.
///
/// Each call takes a lock for a few copies; signatures are verified and made outside it, on the calling thread.
package final class TokenAuthority: Sendable {
    package enum Outcome: Sendable, Equatable {
        case granted(Grant)
        case rejected(TokenFault)
        /// No key has the token's `kid`, or none has its algorithm. The caller may have the key set refreshed and verify again; otherwise the
        /// token is rejected with ``TokenFault/unknownKey``.
        case unknownKey
    }

    /// A minted token.
    package struct MintedToken: Sendable, Equatable {
        package var token: String
        /// Unix milliseconds.
        package var expiresAt: Int64
    }

    private struct State {
        var keys: TokenKeys
        var rules: TokenRules
        /// The keys of the JWK set.
        var keySet: [KeyRing.Entry] = []
        /// All keys.
        var ring = KeyRing()
        var revocations = Revocations()
        var uses = TokenUses()

        mutating func updateRing(_ generated: GeneratedTokenKey) {
            // A generated key stays valid when another signer is configured, so that the tokens signed with it do.
            ring = KeyRing(keys.entries + [KeyRing.Entry(keyID: generated.keyID, generated.signer.key)] + keySet)
        }
    }

    private let state: Mutex<State>
    private let generated: GeneratedTokenKey
    private let store: @Sendable (AccountChange) -> Void

    /// Reads the configured keys. Fails with all problems at once.
    ///
    /// - Parameters:
    ///   - generated: the key that signs minted tokens if none is configured
    ///   - store: called on the thread of the change, without a lock; must not block
    package init(
        _ settings: TokenSettings, generated: GeneratedTokenKey, store: @escaping @Sendable (AccountChange) -> Void = { _ in }
    ) throws(TokenKeys.Fault) {
        var state = State(keys: try TokenKeys(settings), rules: settings.rules)
        state.updateRing(generated)
        self.state = Mutex(state)
        self.generated = generated
        self.store = store
    }

    // MARK: Configuration

    /// Applies a new configuration. If a key can't be read, it fails with all problems and changes nothing.
    package func apply(_ settings: TokenSettings) throws(TokenKeys.Fault) {
        let keys = try TokenKeys(settings)
        state.withLock { state in
            state.keys = keys
            state.rules = settings.rules
            state.updateRing(generated)
        }
    }

    /// Replaces the keys of the JWK set.
    package func replaceKeySet(_ entries: [KeyRing.Entry]) {
        state.withLock { state in
            state.keySet = entries
            state.updateRing(generated)
        }
    }

    /// Whether a key other than the generated one can verify tokens: a configured key, or one of the JWK set.
    package var hasKeys: Bool { state.withLock { !$0.keys.entries.isEmpty || !$0.keySet.isEmpty } }

    /// Whether minted tokens are signed with the generated key: they become invalid when the gateway restarts, unless the key is stored.
    package var usesGeneratedKey: Bool { state.withLock { $0.keys.signer == nil } }

    package var rules: TokenRules { state.withLock { $0.rules } }

    // MARK: Verification

    /// Verifies a token at `now` (Unix milliseconds).
    package func verify(_ text: String, now: Int64) -> Outcome {
        do throws(TokenFault) {
            let token = try CompactToken(text)
            let (ring, rules) = state.withLock { ($0.ring, $0.rules) }
            switch ring.check(token) {
            case .unknownKey: return .unknownKey
            case .invalid: throw .invalidSignature
            case .verified: break
            }
            let grant = try rules.grant(for: token.claims(), now: now)
            guard !isRevoked(grant) else { throw .revoked }
            return .granted(grant)
        } catch {
            return .rejected(error)
        }
    }

    /// Returns whether the token of a grant was revoked after it was verified.
    package func isRevoked(_ grant: Grant) -> Bool {
        state.withLock { $0.revocations.isRevoked(user: grant.user, issuedAt: grant.issuedAt) }
    }

    // MARK: Minting

    /// Mints a token at `now` (Unix milliseconds). Fails if verification would reject the token.
    package func mint(_ request: TokenRequest, now: Int64) throws(TokenRequest.Fault) -> MintedToken {
        let (signer, rules) = state.withLock { ($0.keys.signer ?? generated.signer, $0.rules) }
        let (claims, expiresAt) = try request.claims(tokenID: TokenID.random(), rules: rules, now: now)
        var header: [UInt8] = []
        header.append("{\"alg\":\"")
        header.append(contentsOf: signer.algorithm.rawValue.utf8)
        header.append("\",\"typ\":\"JWT\"")
        if let keyID = signer.keyID {
            header.append(",\"kid\":")
            header.append(jsonString: keyID)
        }
        header.append("}")
        var bytes = Base64URL.encode(header) + [UInt8(ascii: ".")] + Base64URL.encode(claims)
        do throws(SignatureKeyFault) {
            let signature = try signer.key.sign(signer.algorithm, bytes[...])
            bytes += [UInt8(ascii: ".")] + Base64URL.encode(signature)
        } catch {
            throw TokenRequest.Fault("signing failed: \(error)")
        }
        let token = String(decoding: bytes, as: UTF8.self)
        switch verify(token, now: now) {
        case .granted: return MintedToken(token: token, expiresAt: expiresAt)
        case .rejected(let fault): throw TokenRequest.Fault(fault.rawValue)
        case .unknownKey: throw TokenRequest.Fault(TokenFault.unknownKey.rawValue)
        }
    }

    // MARK: Uses

    /// Spends a use of the token with which a client opens a new session. Returns false when the token has none left; a token with any
    /// number of uses always has.
    package func spend(_ grant: Grant, now: Int64) -> Bool {
        guard grant.uses > 0, let tokenID = grant.tokenID else { return true }
        let entry = state.withLock { $0.uses.spend(tokenID, of: grant.uses, until: grant.expiresAt &+ $0.rules.leeway, now: now) }
        guard let entry else { return false }
        store(.useToken(entry))
        return true
    }

    /// Returns a use that was spent on a session that couldn't be opened.
    package func refund(_ grant: Grant) {
        guard grant.uses > 0, let tokenID = grant.tokenID, let entry = state.withLock({ $0.uses.refund(tokenID) }) else { return }
        store(.useToken(entry))
    }

    // MARK: Revocation

    /// Revokes the user's tokens that were issued at or before a time, and those without `iat`. Fails when too many users are revoked.
    ///
    /// - Returns: the revocation in force
    @discardableResult
    package func revoke(_ user: String, before: Int64, now: Int64) throws(Revocations.Full) -> Revocations.Entry {
        let entry = try state.withLock { state throws(Revocations.Full) in
            try state.revocations.revoke(user, before: before, rules: state.rules, now: now)
        }
        store(.revoke(entry))
        return entry
    }

    /// Adds a revocation of another node.
    ///
    /// - Returns: whether more tokens are revoked than before
    package func merge(_ revocation: Revocations.Entry, now: Int64) throws(Revocations.Full) -> Bool {
        try state.withLock { state throws(Revocations.Full) in try state.revocations.merge(revocation, now: now) }
    }

    /// Restores what was stored, without the entries that have expired.
    ///
    /// - Returns: the number of entries that didn't fit
    package func restore(uses: [TokenUses.Entry], revocations: [Revocations.Entry], now: Int64) -> Int {
        state.withLock { state in
            var lost = 0
            for entry in uses where entry.until > now && !state.uses.insert(entry, now: now) { lost += 1 }
            for entry in revocations where entry.until > now {
                do throws(Revocations.Full) { try state.revocations.insert(entry, now: now) } catch { lost += 1 }
            }
            return lost
        }
    }
}
