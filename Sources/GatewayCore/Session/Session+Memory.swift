// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// Bytes of a server message in addition to its text.
    static let envelopeBytes = 256

    package mutating func updateMemoryUsage() {
        memoryUsage = currentMemoryUsage()
        memoryPeak = max(memoryPeak, memoryUsage.total)
    }

    /// Returns the memory usage, recounted. The parts of the connection and the upstream link are kept as they were last reported.
    // Without inlining, the call would copy the whole session (3 KB).
    @inline(__always)
    package func currentMemoryUsage() -> MemoryUsage {
        var memoryUsage = memoryUsage
        memoryUsage.outbox = outbox.footprint + pushes.footprint
        memoryUsage.history = history.footprint + timeline.footprint + turnLog.footprint
        memoryUsage.duplicateIDs = recentIDs.footprint
        memoryUsage.upstreamQueue = inFlight.queuedBytes
        memoryUsage.requests = inFlight.footprint + (supervision?.footprint ?? 0)
        memoryUsage.grant = access.footprint
        return memoryUsage
    }

    /// Whether the upstream's queue has room for `count` more bytes (`delivery.upstream_queue_bytes`); otherwise rejects the message.
    mutating func hasRoomUpstream(for count: Int, id: MessageID, chunk: UInt64? = nil, effects: inout Effects) -> Bool {
        if inFlight.hasRoom(for: count, within: policy.value.upstreamQueueBytes) { return true }
        reject(.upstreamQueueFull, id: id, chunk: chunk, retryAfter: 1000, effects: &effects)
        return false
    }

    /// Whether the memory budgets of the session and of the gateway allow `count` more bytes. Drops the session's history if necessary, and
    /// rejects the message if that isn't enough.
    ///
    /// A message is accepted whole as long as anything is left of `sessions.total_memory_budget`.
    mutating func hasMemory(for count: Int, id: MessageID, chunk: UInt64? = nil, effects: inout Effects) -> Bool {
        guard effects.memoryLeft > 0 else {
            // Not counted as a rejection, because other sessions may have used the memory.
            let error = GatewayError(
                .memoryExhausted, source: .gateway, replyTo: id, chunk: chunk, retryAfter: 1000,
                correlationID: effects.correlationID())
            report(error, effects: &effects)
            return false
        }
        guard hasOwnMemory(for: count, id: id, chunk: chunk, effects: &effects) else { return false }
        // Several messages may be accepted before the memory usage is updated.
        effects.memoryLeft -= min(effects.memoryLeft, InFlightRequest.baseBytes + 2 * count)
        return true
    }

    /// Whether `sessions.memory_budget` allows `count` more bytes; otherwise rejects the message.
    private mutating func hasOwnMemory(for count: Int, id: MessageID, chunk: UInt64?, effects: inout Effects) -> Bool {
        guard policy.value.memoryBudget != .max else { return true }
        updateMemoryUsage()
        // The message waits for the upstream; its response, of about the same length, waits for the client.
        let added = InFlightRequest.baseBytes + count + outbox.growth(adding: count + Self.envelopeBytes)
        if memoryUsage.total + added <= policy.value.memoryBudget - history.growth(adding: count) { return true }
        history.prune()
        updateMemoryUsage()
        if memoryUsage.total + added <= policy.value.memoryBudget { return true }
        reject(.sessionMemory, id: id, chunk: chunk, retryAfter: 1000, effects: &effects)
        return false
    }

    /// Updates the memory usage, and ends the session if it exceeds its budget even without its history.
    package mutating func enforceBudget(effects: inout Effects) {
        // Also without a session budget: `sessions.total_memory_budget` is compared with the sum of all sessions.
        updateMemoryUsage()
        guard memoryUsage.total > policy.value.memoryBudget else { return }
        history.prune()
        updateMemoryUsage()
        guard memoryUsage.total > policy.value.memoryBudget else { return }
        end(.sessionMemory, close: .memoryLimit, effects: &effects)
    }

    /// Drops the history to reclaim memory for the whole process.
    package mutating func dropHistory() {
        history.prune()
        turnLog.removeAll()
        updateMemoryUsage()
    }
}
