// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// Adds an accepted request to the requests in flight, and sends it to the upstream.
    mutating func begin(_ request: consuming UpstreamRequest, kind: RecentIDs.Kind, effects: inout Effects) {
        recentIDs.insert(request.id, kind: kind)
        var entry = InFlightRequest(
            key: request.key, id: request.id, kind: kind, startedAt: effects.now, wall: effects.wall, extraBytes: request.extraBytes)
        if effects.batch != nil {
            var record: [UInt8] = []
            request.append(to: &record)
            entry.record = record
            inFlight.addPendingCommit(request.key, request.id)
        }
        inFlight.insert(entry)
        if account != nil { beginCharge(at: inFlight.count - 1, text: request.text, effects: &effects) }
        changes &+= 1
        forward(request, effects: &effects)
    }

    /// Removes a request that has ended from the requests in flight and the store, and adds its remaining parts to the history.
    mutating func finish(_ key: RequestKey, effects: inout Effects) {
        guard let index = inFlight.index(of: key) else { return }
        releaseHeld(key)
        if account != nil { recordUsage(at: index, effects: &effects) }
        if inFlight[index].spokenNanoseconds > 0 {
            unreportedSpeech.add(inFlight[index].id, lasting: inFlight[index].spokenNanoseconds)
        }
        if let chunks = inFlight[index].storedChunks {
            effects.batch?.remove(id, .chunk, key.chunks.lowerBound..<key.chunks.lowerBound + chunks)
        }
        // Most requests complete before they are stored.
        if inFlight[index].record == nil { effects.batch?.remove(id, .request, key.number..<key.number &+ 1) }
        inFlight[index].mark(.done, now: effects.now)
        // Removed first: a method of the session that borrowed an element of the table would get a copy of the request.
        let request = inFlight.remove(at: index)
        addTurn(of: request)
        addToHistory(request, wall: effects.wall)
        changes &+= 1
    }

    /// Forwards the complete frames of a chunk to the upstream, and stores the chunk as received.
    mutating func forward(
        _ chunk: RawSpan, lasting nanoseconds: Int64, of key: RequestKey, frames: inout FrameAssembler, effects: inout Effects
    ) {
        counts.audioNanoseconds &+= nanoseconds
        effects.metrics.voice.inNanoseconds &+= UInt64(max(0, nanoseconds))
        send(chunk, of: key, frames: &frames, effects: &effects)
        guard let index = inFlight.index(of: key) else { return }
        inFlight[index].audio.add(chunk, lasting: nanoseconds)
        if account != nil { chargeInput(at: index, effects: &effects) }
        guard effects.batch != nil else { return }
        let number = inFlight[index].storedChunks ?? 0
        effects.batch?.put(id, .chunk, key.chunks.lowerBound + number) { $0.append(bytesOf: chunk) }
        inFlight[index].storedChunks = number + 1
        changes &+= 1
    }

    /// Forwards the frames that a chunk completes to the upstream.
    mutating func send(_ chunk: RawSpan, of key: RequestKey, frames: inout FrameAssembler, effects: inout Effects) {
        guard supervision == nil || !isHeld(key) else { return }
        frames.add(chunk) { whole in
            inFlight.queue(whole.byteCount)
            effects.send(whole, of: key)
        }
    }
}
