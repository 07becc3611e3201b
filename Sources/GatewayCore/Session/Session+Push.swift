// SPDX-License-Identifier: Apache-2.0

/// Messages that a back office pushes into the session, beside the responses of upstreams.
extension Session {
    /// Bytes of the JSON messages around a push, in addition to its content; approximate.
    private static let pushEnvelopeBytes = 512

    /// Appends a push to the outbox, from which it is delivered like any sequenced message: stored, replayed on resume, in order.
    ///
    /// Never drops other messages: a push that doesn't fit fails. A text also becomes part of the history, as a line of the upstream.
    package mutating func push(_ push: Push, effects: inout Effects) -> PushOutcome {
        if let failure = rejection(of: push, effects: effects) { return .failed(failure) }
        let key = inFlight.nextKey()
        append(push, key: key, effects: &effects)
        pushes.append(push, key: key, lastSequence: outbox.lastSequence, wall: effects.wall)
        changes &+= 1
        effects.memoryLeft -= min(max(effects.memoryLeft, 0), Self.pushEnvelopeBytes + push.content.byteCount)
        return .queued(sequence: outbox.lastSequence, key: key)
    }

    private mutating func rejection(of push: Push, effects: borrowing Effects) -> PushFailure? {
        guard !isEnded else { return .sessionEnded }
        guard !effects.rejectsWork else { return .storeUnavailable }
        let bytes = push.content.byteCount + Self.pushEnvelopeBytes
        guard !pushes.isFull, outbox.hasRoom(for: push.content.messageCount, bytes: bytes) else { return .outboxFull }
        // A second stream would mix its frames with those of the first.
        if case .audio = push.content, inFlight.contains(where: { $0.isAudioOpen }) { return .audioOpen }
        guard effects.memoryLeft > 0, hasMemory(forPushOf: bytes, footprint: push.footprint) else { return .memoryLimit }
        return nil
    }

    /// Whether `sessions.memory_budget` allows a push. Drops the session's history if necessary.
    private mutating func hasMemory(forPushOf bytes: Int, footprint: Int) -> Bool {
        guard policy.value.memoryBudget != .max else { return true }
        let added = outbox.growth(adding: bytes) + footprint
        updateMemoryUsage()
        if memoryUsage.total + added <= policy.value.memoryBudget { return true }
        history.prune()
        updateMemoryUsage()
        return memoryUsage.total + added <= policy.value.memoryBudget
    }

    private mutating func append(_ push: Push, key: RequestKey, effects: inout Effects) {
        switch push.content {
        case .text(let text):
            text.withRawSpan { history.append($0, .init(.upstream, at: effects.wall, request: key)) }
            sequence(PushedText(push.id, text), request: key, effects: &effects)
        case .status(let state, let progress):
            sequence(PushedStatus(push.id, state, progress: progress), request: key, effects: &effects)
        case .audio(let format, let recording):
            sequence(PushedAudio(push.id, format, isFinal: false), kind: .opening, request: key, effects: &effects)
            let size = push.content.frameSize
            recording.withRawSpan { bytes in
                var start = 0
                while start < bytes.byteCount {
                    let end = min(start + size, bytes.byteCount)
                    outbox.append(bytes.extracting(start..<end), kind: .binary, request: key)
                    counts.messagesOut &+= 1
                    start = end
                }
            }
            sequence(PushedAudio(push.id, format, isFinal: true), request: key, effects: &effects)
        }
    }

    // MARK: Ends

    /// The earliest end of a time to live, in Unix milliseconds; nil when no pending push has one.
    package var nextPushDeadline: Int64? { pushes.nextDeadline }

    /// Number of pushes that the client hasn't acknowledged.
    package var pendingPushes: Int { pushes.entries.count }

    /// Removes the pushes that the client has acknowledged.
    mutating func acknowledgePushes() {
        let acknowledged = outbox.acknowledged
        if !pushes.remove(where: { $0.lastSequence <= acknowledged }).isEmpty { changes &+= 1 }
    }

    /// Removes the expired pushes, and withdraws their messages.
    ///
    /// - Returns: the removed pushes, which weren't delivered.
    package mutating func expirePushes(wall: Int64) -> [FailedPush] {
        let expired = pushes.remove { $0.deadline <= wall }
        for entry in expired { withdraw(entry.key, of: entry.push) }
        return expired.map { FailedPush($0.push, .expired) }
    }

    /// Withdraws a push whose commit failed. Nothing of it was sent, because messages wait for their commit.
    package mutating func withdrawPush(_ key: RequestKey) {
        for entry in pushes.remove(where: { $0.key == key }) { withdraw(key, of: entry.push) }
    }

    private mutating func withdraw(_ key: RequestKey, of push: Push) {
        outbox.withdraw(key) { sequence in
            var message: [UInt8] = []
            message.append(PushedStatus(push.id, "expired"), sequence: sequence)
            return message
        }
        history.setInclusion(.excluded, of: key)
        changes &+= 1
    }

    /// Removes the pushes whose messages were dropped from the outbox. Called after ``resume(after:now:wall:)`` reported a loss.
    ///
    /// - Returns: the removed pushes, which weren't delivered.
    package mutating func takeLostPushes() -> [FailedPush] {
        let removedThrough = outbox.removedThrough
        let lost = pushes.remove { $0.lastSequence <= removedThrough }
        if !lost.isEmpty { changes &+= 1 }
        return lost.map { FailedPush($0.push, .outboxFull) }
    }

    /// Removes and returns all pending pushes, when the session ends.
    package mutating func takePushes() -> [FailedPush] { pushes.remove { _ in true }.map { FailedPush($0.push, .sessionEnded) } }
}
