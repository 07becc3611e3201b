// SPDX-License-Identifier: Apache-2.0

extension Session {
    mutating func accept(_ message: ClientMessage.AudioOpen, in bytes: RawSpan, effects: inout Effects) {
        let id = message.id
        guard isNew(id, kind: .audio, effects: &effects) else { return }
        // An opening with `data` is a complete stream of one chunk.
        var recording: [UInt8]?
        var duration: Int64 = 0
        if let data = message.data {
            var decoded: [UInt8] = []
            // The scanner has already validated it as strict base64.
            _ = Base64.decode(data, from: bytes, into: &decoded)
            recording = decoded
        }
        guard admit(message, recording: recording, duration: &duration, effects: &effects) else { return audioInput.ignoreOpening(id) }

        let key = inFlight.nextKey()
        let request = UpstreamRequest(
            key: key, id: id, input: .audio(message.format), lang: message.lang?.bytes(in: bytes), stream: true,
            output: Self.output(message.output, in: bytes), meta: Self.meta(message.meta, in: bytes), path: path,
            access: access.request, origin: origin)
        begin(request, kind: .audio, effects: &effects)
        guard let recording else {
            audioInput.open(id: id, key: key, format: message.format, now: effects.now)
            return acknowledge(id, chunks: 0, effects: &effects)
        }
        // From here on, frames no longer belong to an earlier, rejected opening.
        audioInput.end()
        acknowledge(id, chunks: 1, effects: &effects)
        var frames = FrameAssembler(message.format)
        recording.withRawSpan { forward($0, lasting: duration, of: key, frames: &frames, effects: &effects) }
        endInput(of: key, effects: &effects)
    }

    /// Checks every condition for an opening, and rejects it if one isn't met. Limits are charged only when all are met.
    ///
    /// - Parameter duration: set to the duration of the recording, in nanoseconds
    private mutating func admit(
        _ message: ClientMessage.AudioOpen, recording: [UInt8]?, duration: inout Int64, effects: inout Effects
    ) -> Bool {
        let id = message.id
        guard access.allowsAudio else {
            reject(.typeForbidden, id: id, effects: &effects)
            return false
        }
        if let open = audioInput.stream {
            reject(
                .streamAlreadyOpen, param: "/id", id: id,
                details: "open: \(open.id)", effects: &effects)
            return false
        }
        if let wait = self.wait(.audio, effects: effects) {
            rejectRate(.audioRate, id: id, wait: wait, effects: &effects)
            return false
        }
        let size = recording?.count ?? 0
        guard canCommit(id, effects: &effects), hasRoomUpstream(for: size, id: id, effects: &effects),
            hasMemory(for: size, id: id, effects: &effects)
        else {
            return false
        }
        if let recording {
            var clock = AudioStreamClock(format: message.format)
            guard let nanoseconds = recording.withRawSpan({ clock.nanoseconds(adding: $0) }) else {
                reject(.invalidOpusData, param: "/data", id: id, effects: &effects)
                return false
            }
            if let wait = admitRealtime(nanoseconds, effects: effects) {
                rejectRate(.audioPace, id: id, wait: wait, effects: &effects)
                return false
            }
            duration = nanoseconds
        }
        guard admitByQuota(.audio, id: id, effects: &effects) else { return false }
        _ = admit(.audio, effects: effects)
        return true
    }

    /// Handles a complete binary message: a chunk of the open stream.
    package mutating func receive(binary chunk: RawSpan, effects: inout Effects) {
        counts.messagesIn &+= 1
        effects.metrics.inbound.add(.audioChunk)
        lastMessageAt = effects.now
        let overBytes = admit(.byte, Int64(chunk.byteCount), effects: effects)
        // Recorders emit an empty chunk when they stop; it holds no audio.
        guard chunk.byteCount > 0 else { return ignore(isOverBytes: overBytes != nil, effects: &effects) }
        var stream: AudioInput.Stream
        switch audioInput.verdict {
        case .stray:
            return reject(.noOpenStream, effects: &effects)
        case .ignored:
            return ignoreChunk(isOverBytes: overBytes != nil, effects: &effects)
        case .chunk(let open):
            stream = open
        }
        if account != nil, stopInput(of: stream.key, effects: &effects) { return }
        let number = stream.accepted &+ 1
        guard let duration = validate(chunk, of: &stream, number: number, effects: &effects) else { return rejectChunk() }
        guard admit(chunk, of: stream, number: number, duration: duration, overBytes: overBytes, effects: &effects) else {
            return rejectChunk()
        }
        forward(chunk, lasting: duration, of: stream.key, frames: &stream.frames, effects: &effects)
        audioInput.update(stream.key, clock: stream.clock, frames: stream.frames)
        if audioInput.accept(now: effects.now) { acknowledge(stream.id, chunks: number, effects: &effects) }
    }

    /// Charges a frame that is ignored silently. Frames over a limit count as rejections, so a flood closes the connection.
    private mutating func ignore(isOverBytes: Bool, effects: inout Effects) {
        if admit(.chunk, effects: effects) != nil || isOverBytes { countRejection(effects: &effects) }
    }

    /// Rejects or ignores a compressed binary message that wasn't inflated, because ``isOverBytes(effects:)`` was true or
    /// ``acceptsBinary`` false.
    mutating func rejectSkippedBinary(effects: inout Effects) {
        counts.messagesIn &+= 1
        lastMessageAt = effects.now
        switch audioInput.verdict {
        case .stray: reject(.noOpenStream, effects: &effects)
        case .ignored:
            ignoreChunk(isOverBytes: false, effects: &effects)
        case .chunk(let stream):
            rejectSkipped(id: stream.id, chunk: stream.accepted &+ 1, effects: &effects)
            rejectChunk()
        }
    }

    private mutating func rejectChunk() {
        audioInput.rejectChunk()
        changes &+= 1
    }

    private mutating func ignoreChunk(isOverBytes: Bool, effects: inout Effects) {
        if audioInput.ignoreChunk() { changes &+= 1 }
        ignore(isOverBytes: isOverBytes, effects: &effects)
    }

    /// Returns the duration of a chunk in nanoseconds. Rejects an invalid chunk and returns nil.
    private mutating func validate(
        _ chunk: RawSpan, of stream: inout AudioInput.Stream, number: UInt64, effects: inout Effects
    ) -> Int64? {
        if chunk.byteCount > policy.value.rules.audioMaxBytes {
            reject(.chunkTooLarge, id: stream.id, chunk: number, effects: &effects)
            return nil
        }
        guard let duration = stream.clock.nanoseconds(adding: chunk) else {
            reject(.invalidOpusChunk, id: stream.id, chunk: number, effects: &effects)
            return nil
        }
        return duration
    }

    private mutating func admit(
        _ chunk: RawSpan, of stream: AudioInput.Stream, number: UInt64, duration: Int64, overBytes: LimitWait?, effects: inout Effects
    ) -> Bool {
        if let wait = overBytes {
            rejectRate(.byteRate, id: stream.id, chunk: number, wait: wait, effects: &effects)
            return false
        }
        if let wait = admission.admitGlobally(sharedNow: effects.sharedNow) {
            rejectRate(.globalRate, id: stream.id, chunk: number, wait: wait, effects: &effects)
            return false
        }
        if let wait = self.wait(.chunk, effects: effects) {
            rejectRate(.chunkRate, id: stream.id, chunk: number, wait: wait, effects: &effects)
            return false
        }
        guard canCommit(stream.id, chunk: number, effects: &effects),
            hasRoomUpstream(for: chunk.byteCount, id: stream.id, chunk: number, effects: &effects),
            hasMemory(for: chunk.byteCount, id: stream.id, chunk: number, effects: &effects)
        else { return false }
        if let wait = admitRealtime(duration, effects: effects) {
            rejectRate(.audioPace, id: stream.id, chunk: number, wait: wait, effects: &effects)
            return false
        }
        _ = admit(.chunk, effects: effects)
        return true
    }

    private mutating func admitRealtime(_ duration: Int64, effects: borrowing Effects) -> LimitWait? {
        admission.admitAudio(.nanoseconds(duration), now: effects.now, sharedNow: effects.sharedNow)
    }

    mutating func endAudio(_ id: MessageID, effects: inout Effects) {
        switch audioInput.state {
        case .open(let stream) where stream.id == id:
            acknowledge(id, chunks: stream.accepted, effects: &effects)
            if stream.isIncomplete { failIncomplete(stream, effects: &effects) } else { endInput(of: stream.key, effects: &effects) }
            audioInput.end()
        case .ignoring(let ignored) where ignored == nil || ignored == id:
            // The rejected or repeated opening already got its reply.
            audioInput.end()
        default:
            reject(.unknownStream, param: "/id", id: id, effects: &effects)
        }
    }

    /// Fails the request of an incomplete recording, whose response would be mistaken for that of the whole recording.
    private mutating func failIncomplete(_ stream: AudioInput.Stream, effects: inout Effects) {
        effects.commands.append(.cancel(stream.key, playedMilliseconds: nil))
        let failure = UpstreamEvent.Content.failure(.incompleteRecording, retryAfterMilliseconds: nil, isRetryable: true)
        receive(UpstreamEvent(stream.key, failure, isLast: true), effects: &effects)
    }

    private mutating func endInput(of key: RequestKey, effects: inout Effects) {
        if !isHeld(key) { effects.commands.append(.audioEnd(key)) }
        guard let index = inFlight.index(of: key) else { return }
        inFlight[index].inputEnded = true
        inFlight[index].inputEndedAt = effects.now
        inFlight[index].mark(.speechEnd, now: effects.now)
        if effects.batch != nil { inFlight.addPendingCommit(key, inFlight[index].id) }
        addAudioToHistory(of: inFlight[index], wall: effects.wall)
        changes &+= 1
    }

    mutating func resumeAudio(_ id: MessageID, from chunk: UInt64, effects: inout Effects) {
        switch audioInput.state {
        case .open(let stream) where stream.id == id:
            guard audioInput.resume(from: chunk) else {
                return reject(
                    .wrongChunk, message: ErrorReason.wrongChunk.message(stream.accepted &+ 1), param: "/from", id: id, effects: &effects)
            }
            acknowledge(id, chunks: stream.accepted, effects: &effects)
        case .ignoring(let ignored) where ignored == nil || ignored == id:
            return
        default:
            reject(.unknownStream, param: "/id", id: id, effects: &effects)
        }
    }

    mutating func acknowledge(_ id: MessageID, chunks: UInt64, effects: inout Effects) {
        effects.reply(AckMessage(id, chunks: chunks), awaitsCommit: true, of: inFlight.key(of: id))
        counts.messagesOut &+= 1
        audioInput.acknowledged(now: effects.now)
    }
}
