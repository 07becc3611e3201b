// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayTLS
package import Logging

/// The parts that authenticate clients: the keys and rules for tokens, the JWK sets, and the connections of users.
package struct ClientAccess: Sendable {
    /// The keys, the rules and the users, for upgrades and sessions.
    package let control: AccessControl
    package let tokens: TokenAuthority
    /// A service: fetches the JWK sets.
    package let keySets: JWKSetSource
    private let logger: Logger
    /// Whether the generated key survives a restart, because a shared store has it.
    private let keepsGeneratedKey: Bool

    /// Reads the configured keys and the file of the JWK set. Fails with all problems at once.
    ///
    /// - Parameters:
    ///   - shared: the accounts that this gateway shares with others; nil if it has its own
    ///   - generated: the key that signs minted tokens if none is configured; nil to make one
    ///   - store: called with each change that has to survive a restart, on the thread of the change; must not block
    package init(
        _ configuration: GatewayConfiguration, health: HealthRegistry, logger: Logger, shared: (any SharedAccounts)? = nil,
        generated: GeneratedTokenKey? = nil, store: @escaping @Sendable (AccountChange) -> Void = { _ in }
    ) throws {
        let tokens = try TokenAuthority(TokenSettings(configuration), generated: generated ?? GeneratedTokenKey(), store: store)
        self.logger = logger
        keepsGeneratedKey = generated != nil
        let keySets = JWKSetSource(JWKSetSettings(configuration), health: health, logger: logger) { keys in
            tokens.replaceKeySet(keys.map { KeyRing.Entry(keyID: $0.id, $0.key) })
        }
        control = AccessControl(
            mode: configuration.auth.mode, users: UserConnections(policy: UserConnections.Policy(configuration)),
            verify: { tokens.verify($0, now: $1) },
            refreshKeys: { completion in keySets.requestRefresh { _ in completion() } },
            spend: { grant, completion in
                if let shared { return Self.spend(grant, rules: tokens.rules, in: shared, logger: logger, completion) }
                completion(tokens.spend(grant, now: LoopClock.wallMilliseconds()) ? .spent : .exhausted)
            },
            refund: { grant in
                guard let shared else { return tokens.refund(grant) }
                if grant.uses > 0, let id = grant.tokenID { shared.refund(id) }
            })
        self.tokens = tokens
        self.keySets = keySets
        warn(configuration, logger: logger)
    }

    /// Spends a use of a token over all nodes. Ends after the time-out of the store's commands at the latest.
    private static func spend(
        _ grant: Grant, rules: TokenRules, in shared: any SharedAccounts, logger: Logger,
        _ completion: @escaping @Sendable (AccessControl.Spending) -> Void
    ) {
        guard grant.uses > 0, let id = grant.tokenID else { return completion(.spent) }
        Task {
            do throws(StoreError) {
                let spent = try await shared.spend(id, of: grant.uses, until: grant.expiresAt &+ rules.leeway)
                completion(spent == nil ? .exhausted : .spent)
            } catch {
                logger.debug("a use of a token can't be spent", metadata: ["error": "\(error)"])
                completion(.unavailable)
            }
        }
    }

    private func warn(_ configuration: GatewayConfiguration, logger: Logger) {
        guard configuration.auth.mode == .jwt, tokens.usesGeneratedKey, !keepsGeneratedKey else { return }
        logger.warning(
            "minted tokens are signed with a key generated at start; they become invalid when the gateway restarts",
            metadata: ["remedy": "set auth.secret or auth.minting_key"])
    }

    /// Restores the uses of tokens and the revocations that were stored.
    package func restore(_ records: AccountRecords) {
        let lost = tokens.restore(uses: records.tokenUses, revocations: records.revocations, now: LoopClock.wallMilliseconds())
        guard lost > 0 else { return }
        logger.error("stored uses of tokens and revocations don't fit; some are lost", metadata: ["count": .stringConvertible(lost)])
    }

    /// Applies the keys and rules of a reloaded configuration, or changes nothing and fails with all problems.
    package func apply(_ configuration: GatewayConfiguration) throws {
        try tokens.apply(TokenSettings(configuration))
        keySets.apply(JWKSetSettings(configuration))
        control.users.policy = UserConnections.Policy(configuration)
    }

    /// The operations on tokens for the operations listener.
    ///
    /// - Parameter cluster: the nodes that have connections of the same users; nil if there are no others
    package func operations(_ cluster: ClusterAccess?) -> AccessOperations {
        AccessOperations(
            mint: { [tokens] request throws(TokenRequest.Fault) in try tokens.mint(request, now: LoopClock.wallMilliseconds()) },
            revoke: { [tokens, control] user, before throws(Revocations.Full) in
                let entry = try tokens.revoke(user, before: before, now: LoopClock.wallMilliseconds())
                let closed = control.users.revoke(user, before: before)
                return closed + (await cluster?.announce(entry) ?? 0)
            })
    }
}

extension TokenSettings {
    package init(_ configuration: GatewayConfiguration) {
        let auth = configuration.auth
        self.init(secrets: auth.secrets, publicKeys: auth.publicKeys, mintingKey: auth.mintingKey, rules: TokenRules(configuration))
    }
}

extension TokenRules {
    init(_ configuration: GatewayConfiguration) {
        let auth = configuration.auth
        self.init(
            issuer: auth.issuer, audience: auth.audience, leeway: auth.leeway.clampedMilliseconds,
            maximumLifetime: auth.maxLifetime.clampedMilliseconds, userClaim: auth.userClaim)
    }
}
