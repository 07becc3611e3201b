// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// The layout of ``RecordKind/state``. Records with an unknown layout are rejected.
    private static let version: UInt8 = 5
    /// Earlier layouts: without the user, and also without the client.
    private static let versionWithoutUser: UInt8 = 4
    private static let versionWithoutClient: UInt8 = 3

    /// Whether there are changes that must be stored before the replies that depend on them are sent.
    package var hasUnstoredChanges: Bool { changes != storedChanges || outbox.hasUnstoredChanges }

    /// Adds the changes since the last call to the batch, if there is one.
    package mutating func store(effects: inout Effects) {
        guard var batch = effects.batch.take() else { return }
        storedChanges = changes
        if let tokens = credentials.takeChange() {
            batch.setTokens(tokens, of: id)
            if let user { batch.setUser(user, of: id) }
        }
        outbox.store(of: id, into: &batch)
        pushes.store(of: id, into: &batch)
        recentIDs.store(of: id, into: &batch)
        history.store(of: id, into: &batch)
        timeline.store(of: id, into: &batch)
        if let account {
            for index in inFlight.indices { inFlight[index].charge?.takeRows(of: account.user) { batch.add($0, to: $1) } }
        }
        for index in inFlight.indices {
            guard let record = inFlight[index].record.take() else { continue }
            batch.put(id, .request, inFlight[index].key.number) { $0 += record }
        }
        let (now, wall) = (effects.now, effects.wall)
        batch.put(id, .state, 0) { append(to: &$0, now: now, wall: wall) }
        effects.batch = batch
    }

    /// Times are stored as Unix milliseconds, debts to limiters as durations: a monotonic clock means nothing to another process.
    private func append(to record: inout [UInt8], now: Instant, wall: Int64) {
        func onWall(_ instant: Instant) -> Int64 { wall - (now - instant).milliseconds }
        record.append(Self.version)
        client.append(to: &record)
        record.append(counted: Array((user ?? "").utf8))
        record.append(fixed: wall)
        record.append(fixed: startedAtMilliseconds)
        record.append(fixed: connectedAt)
        record.append(fixed: expiresAt)
        record.append(fixed: onWall(lastMessageAt))
        record.append(fixed: detachedAt.map(onWall) ?? -1)
        record.append(fixed: inFlight.lastNumber)
        record.append(fixed: admission.outageCredit.nanoseconds)
        outbox.append(to: &record)
        for token in [credentials.newest, credentials.presented] {
            record.append(token == nil ? 0 : 1)
            for word in token?.values ?? [] { record.append(fixed: word) }
        }
        record.append(fixed: counts.messagesIn)
        record.append(fixed: counts.messagesOut)
        record.append(fixed: counts.errors)
        record.append(fixed: counts.audioNanoseconds)
        record.append(fixed: counts.bytesIn)
        record.append(fixed: counts.bytesOut)
        record.append(fixed: counts.connections)
        record.append(fixed: counts.resumes)
        record.append(fixed: UInt64(memoryPeak))
        var limiters = admission.limiters
        limiters.updateEach { record.append(fixed: $0.owed(at: now).nanoseconds) }
        record.append(audioInput.stream.map { $0.isIncomplete ? 2 : 1 } ?? 0)
        if let stream = audioInput.stream {
            record.append(counted: stream.id)
            record.append(fixed: stream.key.number)
            stream.format.append(to: &record)
            record.append(fixed: stream.accepted)
        }
        record.append(fixed: UInt32(inFlight.count))
        for request in inFlight {
            record.append(fixed: request.key.number)
            record.append(fixed: onWall(request.startedAt))
            record.append((request.hasResponse ? 1 : 0) | (request.inputEnded ? 2 : 0))
        }
    }

    /// Restores a stored session into a newly created one. The session is detached.
    ///
    /// ``Effects/commands`` start the requests in flight again, under the same keys. Requests whose response had begun fail with a
    /// retryable error instead, because the upstream's new response would differ from the part already sent.
    ///
    /// - Parameter handover: the record of ``appendHandover(to:now:wall:includesFrames:)`` when another gateway had the session until now; its requests in
    ///   flight continue there, so that they neither start again nor fail
    /// - Throws: ``RecordError`` when the records are inconsistent. The session is unusable then.
    package mutating func restore(_ stored: StoredSession, handover: [UInt8]? = nil, effects: inout Effects) throws(RecordError) {
        guard let state = stored.records[.state]?.first else { throw RecordError() }
        var reader = RecordReader(state.bytes)
        let version: UInt8 = try reader.fixed()
        guard (Self.versionWithoutClient...Self.version).contains(version) else { throw RecordError() }
        if version > Self.versionWithoutClient { client = try ClientKey(&reader) }
        if version > Self.versionWithoutUser {
            let user = try reader.text()
            if !user.isEmpty { access.restore(user) }
        }
        let (now, wall) = (effects.now, effects.wall)
        func instant(_ unixMilliseconds: Int64) -> Instant {
            // The wall clock may have been set back: no time is later than now.
            let (age, overflow) = wall.subtractingReportingOverflow(unixMilliseconds)
            return now - .milliseconds(max(0, overflow ? 0 : age))
        }
        let writtenAt: Int64 = try reader.fixed()
        startedAtMilliseconds = try reader.fixed()
        startedAt = instant(startedAtMilliseconds)
        connectedAt = try reader.fixed()
        expiresAt = try reader.fixed()
        lastMessageAt = instant(try reader.fixed())
        let detached: Int64 = try reader.fixed()
        // A session that was attached lost its connection with the restart.
        let lostAt = detached == -1 ? now : instant(detached)
        inFlight.restore(lastNumber: try reader.fixed())
        admission.restore(outageCredit: .nanoseconds(try reader.fixed()))
        try outbox.restore(&reader, messages: stored.records[.outbox] ?? [])
        var tokens: [TokenHash?] = []
        for _ in 0..<2 {
            tokens.append(
                try reader.flag() ? TokenHash(try reader.fixed(), try reader.fixed(), try reader.fixed(), try reader.fixed()) : nil)
        }
        if let newest = tokens[0] { credentials.issue(newest, for: tokens[1]) }
        try restoreCounts(&reader)
        memoryPeak = Int(truncatingIfNeeded: try reader.fixed(UInt64.self))
        let elapsed = max(.zero, now - instant(writtenAt)).nanoseconds
        try admission.restoreLimiters { (limiter) throws(RecordError) in
            limiter.restore(owed: .nanoseconds(max(0, try reader.fixed(Int64.self) &- elapsed)), at: now)
        }
        let streamState = try reader.fixed(UInt8.self)
        if streamState != 0 {
            audioInput.restore(
                id: try reader.id(), key: RequestKey(number: try reader.fixed()), format: try AudioFormat(&reader),
                accepted: try reader.fixed(), isIncomplete: streamState == 2, now: now)
        }
        try recentIDs.restore(stored.records[.id] ?? [])
        try history.restore(stored.records[.history] ?? [])
        try timeline.restore(stored.records[.event] ?? [])
        try pushes.restore(stored.records[.push] ?? [])
        var continuing = try handover.map { (record) throws(RecordError) in try restoreHandover(record, now: now, wall: wall) } ?? []
        note(handover == nil ? .restored : .moved, of: nil, wall: wall)
        for _ in 0..<(try reader.fixed(UInt32.self)) {
            let key = RequestKey(number: try reader.fixed())
            let started = instant(try reader.fixed())
            let flags: UInt8 = try reader.fixed()
            if let index = continuing.firstIndex(where: { $0.key == key }) {
                restore(continuing.remove(at: index), from: stored)
                continue
            }
            try restore(key, startedAt: started, hasResponse: flags & 1 != 0, inputEnded: flags & 2 != 0, from: stored, effects: &effects)
        }
        detachedAt = lostAt
        updateMemoryUsage()
    }

    /// Restores a request in flight whose upstream call continues.
    private mutating func restore(_ request: InFlightRequest, from stored: StoredSession) {
        if let stream = audioInput.stream, stream.key == request.key {
            var (clock, frames) = (AudioStreamClock(format: stream.format), FrameAssembler(stream.format))
            for chunk in stored.records[.chunk] ?? [] where request.key.chunks.contains(chunk.number) {
                chunk.bytes.withRawSpan {
                    _ = clock.nanoseconds(adding: $0)
                    frames.add($0) { _ in }
                }
            }
            audioInput.update(request.key, clock: clock, frames: frames)
        }
        inFlight.insert(request)
    }

    private mutating func restoreCounts(_ reader: inout RecordReader) throws(RecordError) {
        counts.messagesIn = try reader.fixed()
        counts.messagesOut = try reader.fixed()
        counts.errors = try reader.fixed()
        counts.audioNanoseconds = try reader.fixed()
        counts.bytesIn = try reader.fixed()
        counts.bytesOut = try reader.fixed()
        counts.connections = try reader.fixed()
        counts.resumes = try reader.fixed()
    }

    /// Restores a request that was in flight.
    private mutating func restore(
        _ key: RequestKey, startedAt: Instant, hasResponse: Bool, inputEnded: Bool, from stored: StoredSession, effects: inout Effects
    ) throws(RecordError) {
        guard let record = stored.records[.request]?.first(where: { $0.number == key.number }) else { throw RecordError() }
        let request = try UpstreamRequest(key: key, record: record.bytes)
        let chunks = stored.records[.chunk]?.filter { key.chunks.contains($0.number) } ?? []
        let format: AudioFormat? = if case .audio(let format) = request.input { format } else { nil }
        var entry = InFlightRequest(
            key: key, id: request.id, kind: format == nil ? .text : .audio, startedAt: startedAt,
            wall: effects.wall - (effects.now - startedAt).milliseconds, extraBytes: request.extraBytes)
        entry.hasResponse = hasResponse
        entry.inputEnded = inputEnded
        entry.storedChunks = chunks.isEmpty ? nil : UInt64(chunks.count)
        var clock = format.map { AudioStreamClock(format: $0) }
        for chunk in chunks {
            chunk.bytes.withRawSpan { entry.audio.add($0, lasting: clock?.nanoseconds(adding: $0) ?? 0) }
        }
        let text = request.text
        entry.charge = RequestCharge(text: text, day: UTCDay(unixMilliseconds: effects.wall))
        entry.charge?.isRestored = true
        entry.charge?.audioInNanoseconds = entry.audio.nanoseconds
        inFlight.insert(entry)
        guard !hasResponse else {
            let failure = UpstreamEvent.Content.failure(.gatewayRestarted, retryAfterMilliseconds: 0)
            return receive(UpstreamEvent(key, failure, isLast: true), effects: &effects)
        }
        if let text { inFlight.queue(text.count) }
        effects.commands.append(.start(request))
        if let format, let clock {
            var frames = FrameAssembler(format)
            for chunk in chunks { chunk.bytes.withRawSpan { send($0, of: key, frames: &frames, effects: &effects) } }
            audioInput.update(key, clock: clock, frames: frames)
        }
        if inputEnded { effects.commands.append(.audioEnd(key)) }
    }
}
