extension Session {
    /// What a server message is longer than the text in it.
    static let envelopeBytes = 256

    package mutating func updateLedger() {
        ledger = countedLedger()
        memoryPeak = max(memoryPeak, ledger.total)
    }

    /// The ledger as it should be: everything counted anew but the connection's part, which the edge reports.
    // Called, it would be passed a copy of all of the session's 3 KB.
    @inline(__always)
    package func countedLedger() -> Ledger {
        var ledger = ledger
        ledger.outbox = outbox.footprint
        ledger.history = history.footprint + timeline.footprint
        ledger.duplicateIDs = remembered.footprint
        ledger.upstreamQueue = inFlight.queuedBytes
        ledger.requests = inFlight.footprint
        return ledger
    }

    /// Whether the upstream's queue takes `count` more bytes (`delivery.upstream_queue_bytes`); refuses the message otherwise.
    mutating func hasRoomUpstream(for count: Int, id: MessageID, chunk: UInt64? = nil, effects: inout Effects) -> Bool {
        if inFlight.hasRoom(for: count, within: policy.upstreamQueueBytes) { return true }
        refuse(.upstreamQueueFull, id: id, chunk: chunk, retryAfter: 1000, effects: &effects)
        return false
    }

    /// Whether the budgets of the session and of the gateway take `count` more bytes; gives up the session's history for it, and refuses the
    /// message when that isn't enough.
    ///
    /// A message that comes while anything is left of `sessions.total_memory_budget` is accepted whole.
    mutating func hasMemory(for count: Int, id: MessageID, chunk: UInt64? = nil, effects: inout Effects) -> Bool {
        guard effects.memoryLeft > 0 else {
            // Not counted as a refusal, for others may have used the memory up.
            let error = GatewayError(
                .memoryExhausted, source: .gateway, replyTo: id, chunk: chunk, retryAfter: 1000,
                correlationID: effects.correlationID())
            report(error, effects: &effects)
            return false
        }
        guard hasOwnMemory(for: count, id: id, chunk: chunk, effects: &effects) else { return false }
        // Several messages may be accepted before the ledger is updated.
        effects.memoryLeft -= min(effects.memoryLeft, InFlightRequest.baseBytes + 2 * count)
        return true
    }

    /// Whether `sessions.memory_budget` takes `count` more bytes.
    private mutating func hasOwnMemory(for count: Int, id: MessageID, chunk: UInt64?, effects: inout Effects) -> Bool {
        guard policy.memoryBudget != .max else { return true }
        updateLedger()
        // It waits for the upstream, and its answer, about as long, for the client.
        let added = InFlightRequest.baseBytes + count + outbox.growth(adding: count + Self.envelopeBytes)
        if ledger.total + added <= policy.memoryBudget - history.growth(adding: count) { return true }
        history.prune()
        updateLedger()
        if ledger.total + added <= policy.memoryBudget { return true }
        refuse(.sessionMemory, id: id, chunk: chunk, retryAfter: 1000, effects: &effects)
        return false
    }

    /// Brings the ledger up to date, and ends a session whose buffers are over its budget although its history was given up.
    package mutating func enforceBudget(effects: inout Effects) {
        // Also where there is no budget: `sessions.total_memory_budget` adds the ledgers up.
        updateLedger()
        guard ledger.total > policy.memoryBudget else { return }
        history.prune()
        updateLedger()
        guard ledger.total > policy.memoryBudget else { return }
        end(.sessionMemory, close: .memoryLimit, effects: &effects)
    }

    /// Memory is short in the whole process: give up what can be missed.
    package mutating func relieve() {
        history.prune()
        updateLedger()
    }
}
