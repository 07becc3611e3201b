// SPDX-License-Identifier: Apache-2.0

extension SessionPolicy {
    /// Returns the rate of a limit whose configuration key has this value, in the key's unit. 0 turns the limit off.
    package static func rate(of limit: Limit, _ value: Double) -> Rate {
        switch limit {
        case .text, .audio, .control: Rate(units: value, per: .seconds(60), burst: value * 0.25)
        case .rejection, .violation: Rate(units: value, per: .seconds(60), burst: value)
        case .chunk: Rate(units: value, per: .seconds(1), burst: value * 5)
        // Microseconds of audio; the burst is 5 s of audio at any factor.
        case .realtime: Rate(units: value * 1e6, per: .seconds(1), burst: 5e6)
        case .byte: Rate(units: value, per: .seconds(1), burst: value * 4)
        }
    }

    /// Sets the rate of a limit.
    package mutating func set(_ limit: Limit, _ value: Double) {
        let rate = Self.rate(of: limit, value)
        switch limit {
        case .text: text = rate
        case .audio: audio = rate
        case .chunk: chunks = rate
        case .realtime: realtime = rate
        case .control: control = rate
        case .byte: bytes = rate
        case .rejection: rejections = rate
        case .violation: violations = rate
        }
    }

    /// Returns the policy with the limits and the session lifetime of a token.
    ///
    /// A limit that is configured is raised to at most `factor` times its value, also by a claim of 0, and lowered to any value. A limit
    /// that is off gets the claimed value. The lifetime is only shortened. ``namedLimits`` follows.
    ///
    /// - Parameter factor: `auth.claims_factor`; values below 1 count as 1
    package func applying(_ claims: ParleyClaims, factor: Double) -> SessionPolicy {
        var policy = self
        for claim in claims.limits {
            let name = claim.limit.name
            let index = policy.namedLimits.firstIndex { $0.name == name }
            var value = claim.value
            if let index {
                let maximum = policy.namedLimits[index].value * max(factor, 1)
                value = value > 0 ? min(value, maximum) : maximum
                policy.namedLimits[index].value = value
            } else if value > 0 {
                policy.namedLimits.append(NamedLimit(name, value))
            }
            policy.set(claim.limit, value)
        }
        if let milliseconds = claims.sessionMilliseconds {
            let (nanoseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
            if !overflow { policy.lifetime = min(policy.lifetime, nanoseconds) }
        }
        return policy
    }
}
