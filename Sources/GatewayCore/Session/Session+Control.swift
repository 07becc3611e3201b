extension Session {
    mutating func ping(id: MessageID?, ts: NumberSlice?, in bytes: RawSpan, turn: inout Turn) {
        guard admitControl(id: id, turn: &turn) else { return }
        let wall = turn.wall
        turn.reply { reply in
            reply.append("{\"type\":\"pong\"")
            if let id {
                reply.append(",\"id\":")
                reply.append(quoted: id)
            }
            if let ts {
                reply.append(",\"ts\":")
                ts.append(to: &reply, from: bytes)
            }
            reply.append(",\"server_ts\":")
            reply.append(decimal: wall)
            reply.append(UInt8(ascii: "}"))
        }
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
        turn.reply { $0.appendAck(id) }
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
        guard let request = inFlight.first(where: { $0.id == id }) else {
            return refuse(.notFound, "no request with this id is in flight", param: "/id", id: id, turn: &turn)
        }
        turn.commands.append(.cancel(request.key, playedMilliseconds: playedMilliseconds))
        outbox.dropWaiting(of: request.key)
        if intake.stream?.key == request.key { intake.abandon() }
        // A text that was cancelled before its answer is withdrawn. People who go on speaking haven't taken anything back.
        if !request.hasSaid, request.audio.bytes == 0 { history.setStanding(.withdrawn, of: request.key) }
        finish(request.key, turn: &turn)
        sequence("status", request: nil, turn: &turn) { bytes in
            bytes.append(",\"reply_to\":")
            bytes.append(quoted: id)
            bytes.append(",\"state\":\"cancelled\",\"done\":true")
        }
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
        refuseRate("more control messages a minute than `limits.control_per_minute` allows", id: id, wait: wait, turn: &turn)
        return false
    }

    private mutating func report(id: MessageID?, turn: inout Turn) {
        counts.messagesOut &+= 1
        updateLedger()
        let upstream = turn.upstream
        let remaining = self.remaining(turn: turn)
        turn.reply { bytes in
            bytes.append("{\"type\":\"status\"")
            if let id {
                bytes.append(",\"id\":")
                bytes.append(quoted: id)
            }
            bytes.append(",\"session\":{\"session_id\":")
            bytes.append(quoted: self.id)
            bytes.append(",\"messages_in\":")
            bytes.append(decimal: counts.messagesIn)
            bytes.append(",\"messages_out\":")
            bytes.append(decimal: counts.messagesOut)
            bytes.append(",\"errors\":")
            bytes.append(decimal: counts.errors)
            bytes.append(",\"audio_seconds\":")
            bytes.append(jsonNumber: Double(counts.audioNanoseconds / 1_000_000) / 1000)
            bytes.append(",\"rtt_ms\":")
            if let roundTripNanoseconds {
                bytes.append(jsonNumber: Double(roundTripNanoseconds / 1000) / 1000)
            } else {
                bytes.append("null")
            }
            bytes.append(",\"connected_at\":")
            bytes.append(decimal: connectedAt)
            bytes.append(",\"expires_at\":")
            if expiresAt == .max { bytes.append("null") } else { bytes.append(decimal: expiresAt) }
            bytes.append("},\"memory\":")
            ledger.append(to: &bytes, budget: policy.memoryBudget == .max ? 0 : policy.memoryBudget)
            bytes.append(",\"limits\":{")
            Self.append(remaining, to: &bytes)
            bytes.append("},\"upstream\":{\"state\":")
            bytes.append(jsonString: upstream.rawValue)
            bytes.append("}}")
        }
    }

    /// What would pass right now, by configuration name; a limit that is off isn't listed.
    private func remaining(turn: borrowing Turn) -> [(name: StaticString, units: Double)] {
        let all: [(StaticString, Limit, Double)] = [
            ("limits.text_per_minute", .text, 1), ("limits.audio_per_minute", .audio, 1), ("limits.audio_chunks_per_second", .chunk, 1),
            ("limits.audio_realtime_factor", .realtime, 1e-6), ("limits.control_per_minute", .control, 1),
            ("limits.bytes_per_second", .byte, 1), ("limits.refusals_per_minute", .refusal, 1), ("messages.max_violations", .violation, 1),
        ]
        var found: [(name: StaticString, units: Double)] = []
        for (name, limit, unit) in all where !policy.rate(of: limit).isUnlimited {
            found.append((name, Double(remaining(limit, turn: turn)) * unit))
        }
        return found
    }

    private static func append(_ remaining: [(name: StaticString, units: Double)], to bytes: inout [UInt8]) {
        var isFirst = true
        for (name, units) in remaining {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            bytes.append(UInt8(ascii: "\""))
            bytes.append(name)
            bytes.append("\":")
            bytes.append(jsonNumber: units)
        }
    }
}
