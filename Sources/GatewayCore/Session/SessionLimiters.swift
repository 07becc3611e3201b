// SPDX-License-Identifier: Apache-2.0

/// The debts of a session to each of its limits. The rates are in the policy.
typealias SessionLimiters = LimitTable<Limiter>

extension LimitTable<Limiter> {
    init() { self.init { Limiter() } }

    /// Updates every limiter, in the order in which their debts are stored.
    mutating func updateEach<Thrown: Error>(_ update: (inout Limiter) throws(Thrown) -> Void) throws(Thrown) {
        for limit in Limit.allCases { try update(&self[limit]) }
    }
}

extension SharedPolicy {
    /// The rate of a limit for one session.
    func rate(of limit: Limit) -> Rate {
        switch limit {
        case .text: value.text
        case .audio: value.audio
        case .chunk: value.chunks
        case .realtime: value.realtime
        case .control: value.control
        case .byte: value.bytes
        case .rejection: value.rejections
        case .violation: value.violations
        }
    }

    /// The rate of a limit for all sessions of one client together.
    func clientRate(of limit: Limit) -> Rate { rate(of: limit).multiplied(by: value.clientFactor) }
}
