// SPDX-License-Identifier: Apache-2.0

/// A change to the records about users and their tokens, which outlive sessions.
package enum AccountChange: Sendable, Hashable {
    /// Records how often a token was used. The higher of this and the stored number is kept.
    case useToken(TokenUses.Entry)
    case removeToken(id: String)
    /// Records a revocation. The later of this and the stored time is kept.
    case revoke(Revocations.Entry)
    case removeRevocation(user: String)
}

/// The records about users and their tokens, as loaded at startup.
package struct AccountRecords: Sendable {
    /// The usage of each user in the current day and month.
    package var usage: [String: PeriodUsage] = [:]
    package var tokenUses: [TokenUses.Entry] = []
    package var revocations: [Revocations.Entry] = []

    package init() {}
}
