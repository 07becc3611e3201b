// SPDX-License-Identifier: Apache-2.0

/// The handling of failed commits. An `ack` means that a message is stored, so an accepted message whose commit fails is rejected after
/// all.
extension Session {
    /// Number of requests and ends of recordings accepted so far.
    package var acceptedCount: UInt64 { inFlight.acceptedCount }

    /// Marks the first `count` accepted messages as durable.
    package mutating func markCommitted(first count: UInt64) { inFlight.markCommitted(first: count) }

    /// Rejects every accepted message that isn't durable, with `overloaded`. The message's id is removed, so that the client can send the
    /// message again under the same id. An open stream waits for `from`, as after a rejected chunk.
    ///
    /// - Returns: the rejected requests, whose acknowledgements must not be sent.
    package mutating func rejectUncommitted(effects: inout Effects) -> Set<RequestKey> {
        let rejected = inFlight.removePendingCommits()
        var keys: Set<RequestKey> = []
        for (key, id) in rejected.lazy.map({ ($0.key, $0.id) }) where keys.insert(key).inserted {
            if inFlight.contains(key) {
                refund(key, effects: &effects)
                effects.commands.append(.cancel(key, playedMilliseconds: nil))
                if audioInput.stream?.key == key { audioInput.abandon() }
                if let index = inFlight.index(of: key) { inFlight[index].outcome = .failed }
                finish(key, effects: &effects)
            }
            outbox.dropWaiting(of: key)
            rejectUnstored(id, effects: &effects)
        }
        if !rejected.isEmpty {
            recentIDs.remove(rejected.map { $0.id })
            history.removeEntries(of: keys)
            changes &+= 1
        }
        if let stream = audioInput.stream, stream.pauseReason == nil {
            audioInput.rejectChunk()
            rejectUnstored(stream.id, chunk: stream.accepted &+ 1, effects: &effects)
        }
        return keys
    }

    /// Whether the store can commit a message that is accepted now; otherwise rejects the message.
    mutating func canCommit(_ id: MessageID, chunk: UInt64? = nil, effects: inout Effects) -> Bool {
        guard effects.rejectsWork else { return true }
        rejectUnstored(id, chunk: chunk, effects: &effects)
        return false
    }

    private mutating func rejectUnstored(_ id: MessageID, chunk: UInt64? = nil, effects: inout Effects) {
        // Not counted as a rejection: the client isn't at fault, and its session should survive the outage.
        let error = GatewayError(
            .storeUnavailable, source: .gateway, replyTo: id, chunk: chunk, retryAfter: 1000,
            correlationID: effects.correlationID())
        report(error, effects: &effects)
    }
}
