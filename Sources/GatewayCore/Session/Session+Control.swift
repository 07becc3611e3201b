extension Session {
    mutating func ping(id: MessageID?, ts: NumberSlice?, in bytes: RawSpan, turn: inout Turn) {
        guard admitControl(id: id, turn: &turn) else { return }
        let message = PongMessage(id, timestamp: ts, serverTime: turn.wall)
        turn.reply { message.append(to: &$0, answering: bytes) }
        counts.messagesOut &+= 1
    }

    mutating func status(_ status: ClientMessage.Status, turn: inout Turn) {
        guard let state = status.state else {
            guard admitControl(id: status.id, turn: &turn) else { return }
            return report(id: status.id, turn: &turn)
        }
        if status.playedMilliseconds != nil, wait(.control, turn: turn) != nil {
            // Progress of playback beyond the limit is coalesced: the newest waits until one passes again.
            heldStatus = status
            return acknowledge(status, turn: &turn)
        }
        guard admitControl(id: status.id, turn: &turn) else { return }
        heldStatus = nil
        turn.commands.append(.clientState(state, replyTo: status.replyTo, playedMilliseconds: status.playedMilliseconds))
        acknowledge(status, turn: &turn)
    }

    private mutating func acknowledge(_ status: ClientMessage.Status, turn: inout Turn) {
        guard let id = status.id else { return }
        turn.reply(AckMessage(id))
        counts.messagesOut &+= 1
    }

    /// Forwards the newest progress of playback that the limit has held back.
    mutating func releaseHeldStatus(turn: inout Turn) {
        guard let held = heldStatus, let state = held.state, admit(.control, turn: turn) == nil else {
            return
        }
        heldStatus = nil
        turn.commands.append(.clientState(state, replyTo: held.replyTo, playedMilliseconds: held.playedMilliseconds))
    }

    mutating func cancel(_ id: MessageID, playedMilliseconds: Int64?, turn: inout Turn) {
        guard admitControl(id: id, turn: &turn) else { return }
        guard let index = inFlight.firstIndex(where: { $0.id == id }) else {
            return refuse(.notFound, "no request with this id is in flight", param: "/id", id: id, turn: &turn)
        }
        let (key, hasSaid, hasAudio) = (inFlight[index].key, inFlight[index].hasSaid, inFlight[index].audio.bytes > 0)
        turn.commands.append(.cancel(key, playedMilliseconds: playedMilliseconds))
        outbox.dropWaiting(of: key)
        if intake.stream?.key == key { intake.abandon() }
        // A text that was cancelled before its answer is withdrawn. People who go on speaking haven't taken anything back.
        if !hasSaid, !hasAudio { history.setStanding(.withdrawn, of: key) }
        finish(key, turn: &turn)
        sequence(StatusMessage(id, "cancelled", end: .done(nil)), request: nil, turn: &turn)
    }

    /// Without authentication there is no subject that a token could belong to.
    mutating func auth(turn: inout Turn) {
        guard admitControl(id: nil, turn: &turn) else { return }
        refuse(.unauthorized, "this gateway doesn't authenticate, so there is no token to renew", turn: &turn)
    }

    mutating func bye(turn: inout Turn) {
        ending = .bye
        turn.closing = Closing(code: .normal, reason: "bye")
    }

    /// `ping`, `status`, `cancel` and `auth` share one limit.
    private mutating func admitControl(id: MessageID?, turn: inout Turn) -> Bool {
        guard let wait = admit(.control, turn: turn) else { return true }
        refuseRate(Limit.control.excess, id: id, wait: wait, turn: &turn)
        return false
    }

    private mutating func report(id: MessageID?, turn: inout Turn) {
        counts.messagesOut &+= 1
        updateLedger()
        let message = SessionStatusMessage(
            id, session: self.id, counts: counts, roundTripNanoseconds: roundTripNanoseconds, connectedAt: connectedAt,
            expiresAt: expiresAt == .max ? nil : expiresAt, memory: ledger,
            memoryBudget: policy.memoryBudget == .max ? 0 : policy.memoryBudget,
            limits: remaining(turn: turn), upstream: turn.upstream)
        turn.reply(message)
    }

    /// What would pass right now, by configuration name; a limit that is off isn't listed.
    private func remaining(turn: borrowing Turn) -> [(name: StaticString, units: Double)] {
        var found: [(name: StaticString, units: Double)] = []
        for limit in Limit.allCases where !policy.rate(of: limit).isUnlimited {
            // Audio is charged in microseconds.
            found.append((limit.key, Double(remaining(limit, turn: turn)) * (limit == .realtime ? 1e-6 : 1)))
        }
        return found
    }
}
