/// Decides whether messages of a session are within its limits.
///
/// Each limit binds the session, and with `limits.per_address_factor` all sessions of its client together; one binds the gateway. Times come in
/// twice, because the first leaves out what the session's own event loop didn't live through, and the limiters that others share need a clock
/// that all event loops share.
struct SessionAdmission: Sendable {
    /// The longest outage whose audio may be sent after it all at once.
    static let longestOutage = Instant.Duration.seconds(30)

    /// Changes with a reload; what limiters have counted stays.
    var policy: SharedPolicy
    private(set) var limiters = SessionLimiters()
    /// The limiters that all sessions of the client share; nil limits the session alone.
    var clientLimiters: ClientLimiters?
    private let global: SharedLimiter
    /// Audio that may come faster than `limits.audio_realtime_factor` allows, because there was no connection to send it on.
    private(set) var outageCredit = Instant.Duration.zero

    init(policy: SharedPolicy, global: SharedLimiter) {
        self.policy = policy
        self.global = global
    }

    /// Admits `units`, or tells how long to wait. Units that one of the two limits refuses are charged to neither.
    mutating func admit(
        _ limit: Limit, _ units: Int64 = 1, now: Instant, sharedNow: Instant
    ) -> LimitWait? {
        let rate = policy.value.rate(of: limit)
        if rate.isUnlimited { return nil }
        if let wait = limiters[limit].wait(for: units, at: rate, now: now) { return LimitWait(nanoseconds: wait.nanoseconds) }
        if let clientLimiters, let wait = clientLimiters.admit(limit, units, at: policy.value.clientRate(of: limit), now: sharedNow) {
            return LimitWait(nanoseconds: wait.nanoseconds, isClients: true)
        }
        _ = limiters[limit].admit(units, at: rate, now: now)
        return nil
    }

    /// Admits a message within the limit of the whole gateway, or tells how long to wait.
    func admitGlobally(sharedNow: Instant) -> LimitWait? {
        global.admit(at: policy.value.global, now: sharedNow).map { LimitWait(nanoseconds: $0.nanoseconds) }
    }

    /// Admits audio of a duration, using the credit for an outage first; or returns how long to wait.
    mutating func admitAudio(
        _ duration: Instant.Duration, now: Instant, sharedNow: Instant
    ) -> LimitWait? {
        let credited = min(outageCredit, duration)
        if let wait = admit(.realtime, (duration - credited).nanoseconds / 1000, now: now, sharedNow: sharedNow) { return wait }
        outageCredit -= credited
        return nil
    }

    /// Returns the result of ``admit(_:_:now:sharedNow:)`` without admitting.
    func wait(
        _ limit: Limit, for units: Int64 = 1, now: Instant, sharedNow: Instant
    ) -> LimitWait? {
        let rate = policy.value.rate(of: limit)
        if rate.isUnlimited { return nil }
        if let wait = limiters[limit].wait(for: units, at: rate, now: now) { return LimitWait(nanoseconds: wait.nanoseconds) }
        guard let clientLimiters else { return nil }
        let wait = clientLimiters.wait(limit, for: units, at: policy.value.clientRate(of: limit), now: sharedNow)
        return wait.map { LimitWait(nanoseconds: $0.nanoseconds, isClients: true) }
    }

    /// Units that would pass at this moment, all at once.
    func remaining(_ limit: Limit, now: Instant, sharedNow: Instant) -> Int64 {
        let own = limiters[limit].remaining(at: policy.value.rate(of: limit), now: now)
        guard let clientLimiters else { return own }
        return min(own, clientLimiters.remaining(limit, at: policy.value.clientRate(of: limit), now: sharedNow))
    }

    /// Credits the duration of an outage.
    mutating func creditOutage(_ duration: Instant.Duration) { outageCredit = min(max(.zero, duration), Self.longestOutage) }

    mutating func restore(outageCredit credit: Instant.Duration) { outageCredit = credit }

    /// Reads what the session owes to each limit, in the order in which it was written down.
    mutating func restoreLimiters<Thrown: Error>(_ restore: (inout Limiter) throws(Thrown) -> Void) throws(Thrown) {
        try limiters.updateEach(restore)
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) { limiters.updateEach { $0.move(byNanoseconds: difference.nanoseconds) } }
}
