// SPDX-License-Identifier: Apache-2.0

/// The charging of usage to the session's user, and the enforcement of the user's quotas.
extension Session {
    /// Assigns the session to a user, and sets the quotas that apply.
    ///
    /// - Parameters:
    ///   - account: the account of the session's user; nil charges nothing
    ///   - claims: the quotas of the user's token, which replace configured ones
    package mutating func setAccount(_ account: UserAccount?, claims: [Quota: Double] = [:]) {
        self.account = account
        quotaClaims = claims
        updateQuotas()
    }

    /// Compiles the quotas after a change of the policy or the claims.
    mutating func updateQuotas() {
        quotas = account == nil ? SessionQuotas() : SessionQuotas(policy.value.quotas, claims: quotaClaims)
    }

    // MARK: Requests

    /// Counts a new request of the user. Rejects it with `quota_exceeded` and returns false if a quota is exhausted.
    ///
    /// The limit of the rate is charged for a rejected request, too: a client that doesn't wait is limited by it, and the session of one
    /// that retries now and then continues.
    mutating func admitByQuota(_ limit: Limit, id: MessageID, effects: inout Effects) -> Bool {
        guard let account, let (quota, resetsAt) = account.admitRequest(quotas, wall: effects.wall) else { return true }
        _ = admit(limit, effects: effects)
        effects.metrics.quotaExceeded.add(quota)
        reject(
            .quotaExceeded, message: message(of: quota, resetsAt: resetsAt), id: id, retryAfter: resetsAt - effects.wall,
            effects: &effects)
        return false
    }

    /// Begins to charge an accepted request, which ``admitByQuota(_:id:effects:)`` has counted.
    mutating func beginCharge(at index: Int, text: [UInt8]?, effects: inout Effects) {
        let charge = RequestCharge(text: text, day: UTCDay(unixMilliseconds: effects.wall))
        charge.countMessage()
        inFlight[index].charge = charge
        apply(at: index, effects: &effects)
    }

    /// Sets the upstreams of a request, with their prices.
    package mutating func setTariff(_ tariff: RouteTariff, of key: RequestKey, effects: inout Effects) {
        guard let index = inFlight.index(of: key), let charge = inFlight[index].charge else { return }
        charge.route(to: tariff)
        apply(at: index, effects: &effects)
    }

    /// Cancels the charge of a request that was rejected after all.
    mutating func refund(_ key: RequestKey, effects: inout Effects) {
        guard account != nil, let index = inFlight.index(of: key) else { return }
        inFlight[index].charge?.cancel()
        apply(at: index, on: inFlight[index].charge?.day, effects: &effects)
    }

    // MARK: Audio input

    /// Charges the audio of a request that has arrived since the last call.
    mutating func chargeInput(at index: Int, effects: inout Effects) {
        beginDay(at: index, effects: &effects)
        inFlight[index].charge?.audioInNanoseconds = inFlight[index].audio.nanoseconds
        apply(at: index, effects: &effects)
    }

    /// Stops the request of the open stream if no more audio may be sent.
    ///
    /// - Returns: whether the request was stopped, and the chunk is to be ignored
    mutating func stopInput(of key: RequestKey, effects: inout Effects) -> Bool {
        guard let account, !quotas.isEmpty, inFlight.contains(key) else { return false }
        let usage = account.usage(wall: effects.wall)
        guard let quota = quotas.exhausted(usage, where: { $0 == .audioSecondsIn || $0 == .cost }) else { return false }
        stop(key, quota, resetsAt: usage.end(of: quota.period), effects: &effects)
        return true
    }

    // MARK: Responses

    /// Notes what an event of a response uses, except for audio. Called before the event is sent.
    mutating func noteUsage(of content: UpstreamEvent.Content, at index: Int, effects: inout Effects) {
        beginDay(at: index, effects: &effects)
        switch content {
        case .text(let text, _), .unsentText(let text): inFlight[index].charge?.respond(text)
        case .transcript(let text, let final, _, _, _): if final { inFlight[index].charge?.transcribe(text) }
        case .audio(let format): inFlight[index].charge?.openAudio = format
        case .audioEnd: inFlight[index].charge?.openAudio = nil
        case .audioChunk: inFlight[index].charge?.isSpeaking = true
        case .sentence(let characters):
            inFlight[index].charge?.synthesize(characters: characters)
            inFlight[index].charge?.isSpeaking = false
        case .status, .failure: break
        }
    }

    /// Charges an event of a response, and stops the response if a quota is exhausted. Called after the event was sent.
    ///
    /// - Parameter epilogue: the epilogue of the last event; nil for the others
    mutating func chargeResponse(
        at index: Int, isLast: Bool, _ epilogue: UpstreamEvent.Epilogue?, effects: inout Effects
    ) {
        inFlight[index].charge?.audioOutNanoseconds = inFlight[index].responseAudio.nanoseconds
        let usage = apply(at: index, effects: &effects)
        if isLast {
            guard let epilogue, epilogue.usage != nil else { return }
            inFlight[index].charge?.report(epilogue)
            apply(at: index, on: inFlight[index].charge?.day, effects: &effects)
            return
        }
        guard let charge = inFlight[index].charge else { return }
        if charge.exhausted == nil, let usage {
            inFlight[index].charge?.exhausted = quotas.exhausted(usage) { $0 == .outputTokens || $0 == .audioSecondsOut || $0 == .cost }
        }
        // Only a response that is synthesized sentence by sentence has ends of sentences to wait for.
        guard let quota = inFlight[index].charge?.exhausted, !charge.isSpeaking || charge.tariff?.synthesizer == nil else { return }
        let end = usage?.end(of: quota.period) ?? PeriodUsage(today: UTCDay(unixMilliseconds: effects.wall)).end(of: quota.period)
        stop(inFlight[index].key, quota, resetsAt: end, effects: &effects)
    }

    /// Ends a request with `quota_exceeded` and cancels its upstream. The session continues.
    private mutating func stop(_ key: RequestKey, _ quota: Quota, resetsAt: Int64, effects: inout Effects) {
        guard let index = inFlight.index(of: key) else { return }
        let id = inFlight[index].id
        effects.metrics.quotaExceeded.add(quota)
        effects.commands.append(.cancel(key, playedMilliseconds: nil))
        if let format = inFlight[index].charge?.openAudio {
            sequence(AudioMessage(id, format, isFinal: true, end: .open), request: key, effects: &effects)
        }
        let error = GatewayError(
            .quotaExceeded, message: message(of: quota, resetsAt: resetsAt), replyTo: id, retryAfter: max(0, resetsAt - effects.wall),
            correlationID: effects.correlationID())
        fail(key, error, nil, effects: &effects)
        setInclusion(at: index, hasFailed: true, finish: nil)
        if audioInput.stream?.key == key { audioInput.abandon() }
        finish(key, effects: &effects)
    }

    private func message(of quota: Quota, resetsAt: Int64) -> String {
        let limit = quotas.items.first { $0.quota == quota }?.limit ?? 0
        let number = Int64(exactly: limit).map { "\($0)" } ?? "\(limit)"
        let day = UTCDay(unixMilliseconds: resetsAt)
        return ErrorReason.quotaExceeded.message("`\(quota.key)` (\(number)), until \(day)T00:00:00Z")
    }

    // MARK: Accounts and rows

    /// Charges the usage of a request since the last call.
    ///
    /// - Parameter day: the day to charge; nil for today
    /// - Returns: the usage of the user afterwards; nil if nothing is charged
    @discardableResult
    private mutating func apply(at index: Int, on day: UTCDay? = nil, effects: inout Effects) -> PeriodUsage? {
        guard let account, let amounts = inFlight[index].charge?.take() else { return nil }
        if amounts != .zero { changes &+= 1 }
        let usage = account.add(amounts, on: day, wall: effects.wall)
        announce(usage, awaitsCommit: false, effects: &effects)
        return usage
    }

    /// Records the usage of the last day when a new day has begun.
    private mutating func beginDay(at index: Int, effects: inout Effects) {
        let today = UTCDay(unixMilliseconds: effects.wall)
        guard let charge = inFlight[index].charge, charge.day != today else { return }
        recordUsage(at: index, effects: &effects)
        inFlight[index].charge?.begin(today)
    }

    /// Records the usage of a request since the last call for reports: in the batch, or without a store in the ledger.
    mutating func recordUsage(at index: Int, effects: inout Effects) {
        guard let account else { return }
        guard effects.batch != nil else {
            inFlight[index].charge?.takeRows(of: account.user) { account.ledger?.add($0, to: $1) }
            return
        }
        inFlight[index].charge?.takeRows(of: account.user) { effects.batch?.add($0, to: $1) }
    }

    /// Records the usage of all requests in flight. Called when the session ends.
    package mutating func recordUsage(effects: inout Effects) {
        for index in inFlight.indices { recordUsage(at: index, effects: &effects) }
    }

    // MARK: Announcements

    /// Sends a notice of each quota that has reached another threshold.
    ///
    /// - Parameter awaitsCommit: whether the messages follow the `session` message, which may wait for a commit
    private mutating func announce(_ usage: PeriodUsage, awaitsCommit: Bool, effects: inout Effects) {
        // Replies of a detached session are dropped. The notices are sent when it is resumed.
        guard !quotas.isEmpty, detachedAt == nil else { return }
        var count: UInt64 = 0
        quotas.announce(usage) { item, used, resetsAt in
            effects.reply(QuotaMessage(item.quota, used: used, limit: item.limit, resetsAt: resetsAt), awaitsCommit: awaitsCommit)
            count &+= 1
        }
        counts.messagesOut &+= count
    }

    /// Sends a notice of each quota that has reached a threshold, on a new connection.
    mutating func announceQuotas(effects: inout Effects) {
        guard let account, !quotas.isEmpty else { return }
        quotas.forgetAnnouncements()
        announce(account.usage(wall: effects.wall), awaitsCommit: true, effects: &effects)
    }

    /// The limits to announce: those of the policy and the quotas.
    var namedLimits: [SessionPolicy.NamedLimit] {
        policy.value.namedLimits + quotas.items.map { SessionPolicy.NamedLimit($0.quota.key, $0.limit) }
    }

    /// Returns the remaining amount of each quota, by configuration key.
    func remainingQuotas(effects: borrowing Effects) -> [SessionPolicy.NamedLimit] {
        guard let account, !quotas.isEmpty else { return [] }
        let usage = account.usage(wall: effects.wall)
        return quotas.items.map { SessionPolicy.NamedLimit($0.quota.key, max(0, $0.limit - $0.used(usage))) }
    }
}
