/// Messages whose commit fails: an `ack` means stored, so a message that can't be stored is refused although it was accepted.
extension Session {
    /// Requests, and ends of recordings, accepted so far.
    package var acceptedCount: UInt64 { inFlight.acceptedCount }

    /// The first `count` of what was accepted is durable.
    package mutating func keep(first count: UInt64) { inFlight.keep(first: count) }

    /// Refuses every accepted message that isn't durable with `overloaded`, and forgets it, so that it can be sent again under its id. An
    /// open recording has to wait, as after a refused chunk.
    ///
    /// - Returns: The refused requests. Their acknowledgements must not be sent any more.
    package mutating func refuseUnkept(effects: inout Effects) -> Set<RequestKey> {
        let refused = inFlight.withdrawPromises()
        var keys: Set<RequestKey> = []
        for (key, id) in refused.lazy.map({ ($0.key, $0.id) }) where keys.insert(key).inserted {
            if inFlight.contains(key) {
                effects.commands.append(.cancel(key, playedMilliseconds: nil))
                if intake.stream?.key == key { intake.abandon() }
                finish(key, effects: &effects)
            }
            outbox.dropWaiting(of: key)
            refuseUnstored(id, effects: &effects)
        }
        if !refused.isEmpty {
            remembered.forget(refused.map { $0.id })
            history.forget(keys)
            changes &+= 1
        }
        if let stream = intake.stream, stream.wait == nil {
            intake.refuseChunk()
            refuseUnstored(stream.id, chunk: stream.accepted &+ 1, effects: &effects)
        }
        return keys
    }

    /// Whether the store takes what is accepted now; refuses the message otherwise.
    mutating func isKept(_ id: MessageID, chunk: UInt64? = nil, effects: inout Effects) -> Bool {
        guard effects.refusesWork else { return true }
        refuseUnstored(id, chunk: chunk, effects: &effects)
        return false
    }

    private mutating func refuseUnstored(_ id: MessageID, chunk: UInt64? = nil, effects: inout Effects) {
        // Not counted as a refusal: the client hasn't done too much, and its session shall outlive the outage.
        let error = GatewayError(
            .storeUnavailable, source: .gateway, replyTo: id, chunk: chunk, retryAfter: 1000,
            correlationID: effects.correlationID())
        report(error, effects: &effects)
    }
}
