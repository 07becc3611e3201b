// SPDX-License-Identifier: Apache-2.0

extension Session {
    mutating func ping(id: MessageID?, ts: NumberSlice?, in bytes: RawSpan, effects: inout Effects) {
        guard admitControl(id: id, effects: &effects) else { return }
        let message = PongMessage(id, timestamp: ts, serverTime: effects.wall)
        effects.reply { message.append(to: &$0, replyingTo: bytes) }
        counts.messagesOut &+= 1
    }

    mutating func status(_ status: ClientMessage.Status, effects: inout Effects) {
        guard let state = status.state else {
            guard admitControl(id: status.id, effects: &effects) else { return }
            return report(id: status.id, effects: &effects)
        }
        updatePlayed(status, now: effects.now)
        if status.playedMilliseconds != nil, wait(.control, effects: effects) != nil {
            // Playback progress over the limit is coalesced: the newest message waits until the limit admits it.
            heldStatus = status
            return acknowledge(status, effects: &effects)
        }
        guard admitControl(id: status.id, effects: &effects) else { return }
        heldStatus = nil
        measurePlayed(status, effects: &effects)
        effects.commands.append(.clientState(state, replyTo: status.replyTo, playedMilliseconds: status.playedMilliseconds))
        acknowledge(status, effects: &effects)
    }

    private mutating func acknowledge(_ status: ClientMessage.Status, effects: inout Effects) {
        guard let id = status.id else { return }
        effects.reply(AckMessage(id))
        counts.messagesOut &+= 1
    }

    /// Forwards the newest playback progress that was held back by the limit.
    mutating func releaseHeldStatus(effects: inout Effects) {
        guard let held = heldStatus, let state = held.state, admit(.control, effects: effects) == nil else {
            return
        }
        heldStatus = nil
        measurePlayed(held, effects: &effects)
        effects.commands.append(.clientState(state, replyTo: held.replyTo, playedMilliseconds: held.playedMilliseconds))
    }

    mutating func cancel(_ id: MessageID, playedMilliseconds: Int64?, effects: inout Effects) {
        guard admitControl(id: id, effects: &effects) else { return }
        guard let index = inFlight.firstIndex(where: { $0.id == id }) else {
            return reject(.unknownRequest, param: "/id", id: id, effects: &effects)
        }
        let (key, hasOutput, hasAudio) = (inFlight[index].key, inFlight[index].hasOutput, inFlight[index].audio.bytes > 0)
        effects.commands.append(.cancel(key, playedMilliseconds: playedMilliseconds))
        outbox.dropWaiting(of: key)
        deliveryMarks.remove(of: key)
        measurePlayed(playedMilliseconds, at: index, effects: &effects)
        if audioInput.stream?.key == key { audioInput.abandon() }
        // Later requests exclude a text cancelled before its response, but include audio: users who keep speaking still meant it.
        if !hasOutput, !hasAudio { history.setInclusion(.excluded, of: key) }
        if let playedMilliseconds { inFlight[index].update(played: playedMilliseconds, now: effects.now) }
        inFlight[index].outcome = .cancelled
        finish(key, effects: &effects)
        sequence(StatusMessage(id, "cancelled", end: .done(nil)), request: nil, effects: &effects)
        deliveryMarks.add(.cancellation, of: key, sequence: outbox.lastSequence, since: effects.now)
    }

    mutating func bye(effects: inout Effects) {
        ending = .bye
        effects.closing = Closing(code: .normal, reason: "bye")
    }

    /// Charges the limit that `ping`, `status`, `cancel` and `auth` share. Rejects a message over the limit and returns false.
    mutating func admitControl(id: MessageID?, effects: inout Effects) -> Bool {
        guard let wait = admit(.control, effects: effects) else { return true }
        rejectRate(.controlRate, id: id, wait: wait, effects: &effects)
        return false
    }

    private mutating func report(id: MessageID?, effects: inout Effects) {
        counts.messagesOut &+= 1
        updateMemoryUsage()
        let message = SessionStatusMessage(
            id, session: self.id, counts: counts, roundTripNanoseconds: roundTripNanoseconds, connectedAt: connectedAt,
            expiresAt: expiresAt == .max ? nil : expiresAt, memory: memoryUsage,
            memoryBudget: policy.value.memoryBudget == .max ? 0 : policy.value.memoryBudget,
            limits: remaining(effects: effects), quotas: remainingQuotas(effects: effects), upstream: effects.upstream)
        effects.reply(message)
    }

    /// Returns the units that each limit would admit now, by configuration key. Limits that are off are omitted.
    private func remaining(effects: borrowing Effects) -> [(name: StaticString, units: Double)] {
        var found: [(name: StaticString, units: Double)] = []
        for limit in Limit.allCases where !policy.rate(of: limit).isUnlimited {
            // Audio is charged in microseconds.
            found.append((limit.key, Double(remaining(limit, effects: effects)) * (limit == .realtime ? 1e-6 : 1)))
        }
        return found
    }
}
