/// How long a message has to wait for a limit.
struct LimitWait {
    var nanoseconds: Int64
    /// The limit is that of the session's client, which other sessions may have used up.
    var isClients = false
}

/// Each limit binds the session, and with `limits.per_address_factor` all sessions of its client together.
extension Session {
    /// The session has a connection of this client, which its resources are counted for from now on.
    ///
    /// - Parameter limiters: the client's; nil limits the session alone
    package mutating func assign(to client: ClientKey, limiters: ClientLimiters?) {
        clientLimiters = limiters
        guard self.client != client else { return }
        self.client = client
        changes &+= 1
    }

    /// Admits `units`, or tells how long to wait. Units that one of the two limits refuses are charged to neither.
    mutating func admit(_ limit: Limit, _ units: Int64 = 1, turn: borrowing Turn) -> LimitWait? {
        let rate = policy.rate(of: limit)
        if rate.isUnlimited { return nil }
        if let wait = limiters[limit].wait(for: units, at: rate, now: turn.now) { return LimitWait(nanoseconds: wait) }
        if let clientLimiters,
            let wait = clientLimiters.admit(limit, units, at: policy.clientRate(of: limit), now: turn.sharedNow)
        {
            return LimitWait(nanoseconds: wait, isClients: true)
        }
        _ = limiters[limit].admit(units, at: rate, now: turn.now)
        return nil
    }

    /// Returns the result of ``admit(_:_:turn:)`` without admitting.
    func wait(_ limit: Limit, for units: Int64 = 1, turn: borrowing Turn) -> LimitWait? {
        let rate = policy.rate(of: limit)
        if rate.isUnlimited { return nil }
        if let wait = limiters[limit].wait(for: units, at: rate, now: turn.now) { return LimitWait(nanoseconds: wait) }
        guard let clientLimiters else { return nil }
        let wait = clientLimiters.wait(limit, for: units, at: policy.clientRate(of: limit), now: turn.sharedNow)
        return wait.map { LimitWait(nanoseconds: $0, isClients: true) }
    }

    /// Units that would pass at this moment, all at once.
    func remaining(_ limit: Limit, turn: borrowing Turn) -> Int64 {
        let own = limiters[limit].remaining(at: policy.rate(of: limit), now: turn.now)
        guard let clientLimiters else { return own }
        return min(own, clientLimiters.remaining(limit, at: policy.clientRate(of: limit), now: turn.sharedNow))
    }
}
