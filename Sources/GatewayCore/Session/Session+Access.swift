// SPDX-License-Identifier: Apache-2.0

/// Authentication: the user of the session, the grant of its connection, and the expiry of its token.
extension Session {
    package var user: String? { access.user }

    /// Applies the grant of a new connection, before it is opened. The session belongs to the grant's user from now on.
    ///
    /// - Parameter wall: now, in Unix milliseconds
    package mutating func authorize(_ grant: Grant, wall: Int64) {
        if access.user != grant.user { changes &+= 1 }
        access.apply(grant, leeway: policy.value.tokenLeeway, wall: wall)
        applyClaims()
    }

    /// Renews the grant of the connection, as `auth` requests. A grant of another user, or one that expires earlier, is rejected.
    ///
    /// - Returns: whether the grant was renewed
    package mutating func renew(with grant: Grant, effects: inout Effects) -> Bool {
        guard grant.user == access.user else {
            reject(.userChanged, effects: &effects)
            return false
        }
        guard grant.expiresAt >= access.grant?.expiresAt ?? .min else {
            reject(.expiryEarlier, effects: &effects)
            return false
        }
        access.apply(grant, leeway: policy.value.tokenLeeway, wall: effects.wall)
        applyClaims()
        effects.reply(AuthMessage(expiresAt: grant.expiresAt), mayCompress: false)
        counts.messagesOut &+= 1
        return true
    }

    /// Rejects the token of an `auth` message. Nothing else changes.
    package mutating func rejectRenewal(_ fault: TokenFault, effects: inout Effects) { reject(fault.error, effects: &effects) }

    /// Rejects an `auth` message because the client's address has presented too many invalid tokens.
    ///
    /// - Parameter wait: the time until another token is verified
    package mutating func rejectRenewal(for wait: Instant.Duration, effects: inout Effects) {
        rejectRate(.renewalRate, wait: LimitWait(nanoseconds: wait.nanoseconds), effects: &effects)
    }

    /// Handles `auth`: the event loop verifies the token and calls ``renew(with:effects:)`` or ``rejectRenewal(_:effects:)``.
    mutating func auth(_ token: TextSlice, in bytes: RawSpan, effects: inout Effects) {
        guard admitControl(id: nil, effects: &effects) else { return }
        // Without a token there is none to renew; a client certificate can't be renewed either.
        guard let grant = access.grant, grant.expiresAt != .max else { return reject(.authenticationDisabled, effects: &effects) }
        effects.renewal = token.bytes(in: bytes)
    }

    /// Announces and enforces the expiry of the connection's token.
    mutating func tickToken(effects: inout Effects) {
        if effects.wall >= access.closesAt {
            end(.tokenExpired, close: .tokenExpired, effects: &effects)
        } else if effects.wall >= access.noticeAt {
            access.noticeSent()
            let left = max(0, (access.grant?.expiresAt ?? effects.wall) - effects.wall)
            goAway(reason: "token_expiring", deadlineMilliseconds: left, effects: &effects)
        }
    }

    /// Sets the policy to the shared one, changed by the claims of the grant.
    mutating func applyClaims() {
        let base = basePolicy.value
        guard let claims = access.grant?.parley, !claims.limits.isEmpty || claims.sessionMilliseconds != nil else {
            admission.policy = basePolicy
            return
        }
        admission.policy = SharedPolicy(base.applying(claims, factor: base.claimsFactor))
        guard policy.value.lifetime != .max, policy.value.lifetime < base.lifetime else { return }
        expiresAt = min(expiresAt, startedAtMilliseconds.addingReportingOverflow(policy.value.lifetime / 1_000_000).partialValue)
    }
}
