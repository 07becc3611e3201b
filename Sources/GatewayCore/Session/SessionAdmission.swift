// SPDX-License-Identifier: Apache-2.0

/// The admission control of a session: whether its messages are within the limits.
///
/// Each limit applies to the session and, with `limits.per_address_factor`, to all sessions of its client together. Another limit applies
/// to the whole gateway. The methods take two times: `now` is on the clock of the session's event loop, which stops while the process is
/// suspended; `sharedNow` is on the clock that all event loops share, which shared limiters need.
struct SessionAdmission: Sendable {
    /// The longest time without a connection whose audio may be sent all at once afterwards.
    static let longestOutage = Instant.Duration.seconds(30)

    /// The policy, replaced when the configuration is reloaded. Limiters keep their debts.
    var policy: SharedPolicy
    private(set) var limiters = SessionLimiters()
    /// The limiters that all sessions of the client share; nil limits the session alone.
    var clientLimiters: ClientLimiters?
    private let global: SharedLimiter
    /// Audio that may be sent faster than `limits.audio_realtime_factor` allows, because there was no connection to send it on.
    private(set) var outageCredit = Instant.Duration.zero

    init(policy: SharedPolicy, global: SharedLimiter) {
        self.policy = policy
        self.global = global
    }

    /// Admits `units`, or returns how long to wait. Units that one of the two limits rejects are charged to neither.
    mutating func admit(
        _ limit: Limit, _ units: Int64 = 1, now: Instant, sharedNow: Instant
    ) -> LimitWait? {
        let rate = policy.rate(of: limit)
        if rate.isUnlimited { return nil }
        if let wait = limiters[limit].wait(for: units, at: rate, now: now) { return LimitWait(nanoseconds: wait.nanoseconds) }
        if let clientLimiters, let wait = clientLimiters.admit(limit, units, at: policy.clientRate(of: limit), now: sharedNow) {
            return LimitWait(nanoseconds: wait.nanoseconds, isPerClient: true)
        }
        _ = limiters[limit].admit(units, at: rate, now: now)
        return nil
    }

    /// Admits a message within the limit of the whole gateway, or returns how long to wait.
    func admitGlobally(sharedNow: Instant) -> LimitWait? {
        global.admit(at: policy.value.global, now: sharedNow).map { LimitWait(nanoseconds: $0.nanoseconds) }
    }

    /// Admits audio of this duration, using the outage credit first, or returns how long to wait.
    mutating func admitAudio(
        _ duration: Instant.Duration, now: Instant, sharedNow: Instant
    ) -> LimitWait? {
        let credited = min(outageCredit, duration)
        if let wait = admit(.realtime, (duration - credited).nanoseconds / 1000, now: now, sharedNow: sharedNow) { return wait }
        outageCredit -= credited
        return nil
    }

    /// Returns the result of ``admit(_:_:now:sharedNow:)`` without admitting.
    // Mutating, because the compiler would pass a copy of the limiters otherwise.
    mutating func wait(
        _ limit: Limit, for units: Int64 = 1, now: Instant, sharedNow: Instant
    ) -> LimitWait? {
        let rate = policy.rate(of: limit)
        if rate.isUnlimited { return nil }
        if let wait = limiters[limit].wait(for: units, at: rate, now: now) { return LimitWait(nanoseconds: wait.nanoseconds) }
        guard let clientLimiters else { return nil }
        let wait = clientLimiters.wait(limit, for: units, at: policy.clientRate(of: limit), now: sharedNow)
        return wait.map { LimitWait(nanoseconds: $0.nanoseconds, isPerClient: true) }
    }

    /// Returns the units that would be admitted now, all at once.
    func remaining(_ limit: Limit, now: Instant, sharedNow: Instant) -> Int64 {
        let own = limiters[limit].remaining(at: policy.rate(of: limit), now: now)
        guard let clientLimiters else { return own }
        return min(own, clientLimiters.remaining(limit, at: policy.clientRate(of: limit), now: sharedNow))
    }

    /// Credits the duration of a connection outage, at most ``longestOutage``.
    mutating func creditOutage(_ duration: Instant.Duration) { outageCredit = min(max(.zero, duration), Self.longestOutage) }

    mutating func restore(outageCredit credit: Instant.Duration) { outageCredit = credit }

    /// Restores the debt to each limit, in the order in which the debts were stored.
    mutating func restoreLimiters<Thrown: Error>(_ restore: (inout Limiter) throws(Thrown) -> Void) throws(Thrown) {
        try limiters.updateEach(restore)
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) { limiters.updateEach { $0.move(byNanoseconds: difference.nanoseconds) } }
}
