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

    /// Reads the configured keys and the file of the JWK set. Fails with all problems at once.
    ///
    /// - Parameter store: called with each change that has to survive a restart, on the thread of the change; must not block
    package init(
        _ configuration: GatewayConfiguration, health: HealthRegistry, logger: Logger,
        store: @escaping @Sendable (AccountChange) -> Void = { _ in }
    ) throws {
        let tokens = try TokenAuthority(TokenSettings(configuration), generated: GeneratedTokenKey(), store: store)
        self.logger = logger
        let keySets = JWKSetSource(JWKSetSettings(configuration), health: health, logger: logger) { keys in
            tokens.replaceKeySet(keys.map { KeyRing.Entry(keyID: $0.id, $0.key) })
        }
        control = AccessControl(
            mode: configuration.auth.mode, users: UserConnections(policy: UserConnections.Policy(configuration)),
            verify: { tokens.verify($0, now: $1) },
            refreshKeys: { completion in keySets.requestRefresh { _ in completion() } },
            spend: { tokens.spend($0, now: LoopClock.wallMilliseconds()) }, refund: { tokens.refund($0) })
        self.tokens = tokens
        self.keySets = keySets
        warn(configuration, logger: logger)
    }

    private func warn(_ configuration: GatewayConfiguration, logger: Logger) {
        guard configuration.auth.mode == .jwt, tokens.usesGeneratedKey else { return }
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
    package var operations: AccessOperations {
        AccessOperations(
            mint: { [tokens] request throws(TokenRequest.Fault) in try tokens.mint(request, now: LoopClock.wallMilliseconds()) },
            revoke: { [tokens, control] user, before throws(Revocations.Full) in
                try tokens.revoke(user, before: before, now: LoopClock.wallMilliseconds())
                return control.users.revoke(user, before: before)
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
