extension Session {
    mutating func accept(_ message: ClientMessage.AudioOpen, in bytes: RawSpan, turn: inout Turn) {
        let id = message.id
        guard isNew(id, kind: .audio, turn: &turn) else { return }
        // All in one is a stream of one chunk.
        var recording: [UInt8]?
        var duration: Int64 = 0
        if let data = message.data {
            var decoded: [UInt8] = []
            // The scanner found it to be strict base64 already.
            _ = Base64.decode(data, from: bytes, into: &decoded)
            recording = decoded
        }
        guard admit(message, recording: recording, duration: &duration, turn: &turn) else { return intake.ignoreOpening(id) }

        let key = inFlight.nextKey()
        let request = UpstreamRequest(
            key: key, id: id, input: .audio(message.format), lang: message.lang?.bytes(in: bytes), stream: true,
            output: Self.output(message.output, in: bytes), meta: Self.meta(message.meta, in: bytes), path: path)
        begin(request, kind: .audio, turn: &turn)
        guard let recording else {
            intake.open(id: id, key: key, format: message.format, now: turn.now)
            return acknowledge(id, chunks: 0, turn: &turn)
        }
        // The frames of an earlier, refused opening end here.
        intake.end()
        acknowledge(id, chunks: 1, turn: &turn)
        var frames = FrameAssembler(message.format)
        recording.withRawSpan { forward($0, lasting: duration, of: key, frames: &frames, turn: &turn) }
        endInput(of: key, turn: &turn)
    }

    /// Every condition that an opening has to meet; the limits are charged only when all of them are met.
    ///
    /// - Parameter duration: set to the recording's, in nanoseconds
    private mutating func admit(
        _ message: ClientMessage.AudioOpen, recording: [UInt8]?, duration: inout Int64, turn: inout Turn
    ) -> Bool {
        let id = message.id
        if let open = intake.stream {
            refuse(
                .invalidAudio, "a stream is open already; end or cancel it first", param: "/id", id: id,
                details: "open: \(open.id)", turn: &turn)
            return false
        }
        if let wait = self.wait(.audio, turn: turn) {
            refuseRate(Limit.audio.excess, id: id, wait: wait, turn: &turn)
            return false
        }
        let size = recording?.count ?? 0
        guard isKept(id, turn: &turn), hasRoomUpstream(for: size, id: id, turn: &turn), hasMemory(for: size, id: id, turn: &turn) else {
            return false
        }
        if let recording {
            var clock = AudioStreamClock(format: message.format)
            guard let nanoseconds = recording.withRawSpan({ clock.nanoseconds(adding: $0) }) else {
                refuse(.invalidAudio, "the data isn't an Opus packet (RFC 6716)", param: "/data", id: id, turn: &turn)
                return false
            }
            if let wait = admitRealtime(nanoseconds, turn: turn) {
                refuseRate(Limit.realtime.excess, code: .tooFast, id: id, wait: wait, turn: &turn)
                return false
            }
            duration = nanoseconds
        }
        _ = admit(.audio, turn: turn)
        return true
    }

    /// A whole binary frame: a chunk of the open stream.
    package mutating func receive(binary chunk: RawSpan, turn: inout Turn) {
        counts.messagesIn &+= 1
        lastMessageAt = turn.now
        let overBytes = admit(.byte, Int64(chunk.byteCount), turn: turn)
        // Recorders emit an empty chunk when they stop; it holds no audio.
        guard chunk.byteCount > 0 else { return ignore(isOverBytes: overBytes != nil, turn: &turn) }
        var stream: AudioIntake.Stream
        switch intake.verdict {
        case .stray:
            return refuse(.invalidAudio, "a binary frame without an open audio stream", turn: &turn)
        case .ignored:
            return ignoreChunk(isOverBytes: overBytes != nil, turn: &turn)
        case .chunk(let open):
            stream = open
        }
        let number = stream.accepted &+ 1
        guard let duration = validate(chunk, of: &stream, number: number, turn: &turn) else { return refuseChunk() }
        guard admit(chunk, of: stream, number: number, duration: duration, overBytes: overBytes, turn: &turn) else {
            return refuseChunk()
        }
        forward(chunk, lasting: duration, of: stream.key, frames: &stream.frames, turn: &turn)
        intake.update(stream.key, clock: stream.clock, frames: stream.frames)
        if intake.accept(now: turn.now) { acknowledge(stream.id, chunks: number, turn: &turn) }
    }

    /// Counts a frame that isn't answered: a flood of them ends the connection as one of refused messages does.
    private mutating func ignore(isOverBytes: Bool, turn: inout Turn) {
        if admit(.chunk, turn: turn) != nil || isOverBytes { countRefusal(turn: &turn) }
    }

    /// A compressed frame that came although ``isOverBytes(now:)``, or although not ``takesBinary``; it wasn't inflated.
    mutating func refuseSkippedBinary(turn: inout Turn) {
        counts.messagesIn &+= 1
        lastMessageAt = turn.now
        switch intake.verdict {
        case .stray: refuse(.invalidAudio, "a binary frame without an open audio stream", turn: &turn)
        case .ignored:
            ignoreChunk(isOverBytes: false, turn: &turn)
        case .chunk(let stream):
            refuseSkipped(id: stream.id, chunk: stream.accepted &+ 1, turn: &turn)
            refuseChunk()
        }
    }

    private mutating func refuseChunk() {
        intake.refuseChunk()
        changes &+= 1
    }

    private mutating func ignoreChunk(isOverBytes: Bool, turn: inout Turn) {
        if intake.ignoreChunk() { changes &+= 1 }
        ignore(isOverBytes: isOverBytes, turn: &turn)
    }

    /// The duration of a chunk; nil, and refused, where it can't be one of the stream.
    private mutating func validate(
        _ chunk: RawSpan, of stream: inout AudioIntake.Stream, number: UInt64, turn: inout Turn
    ) -> Int64? {
        if chunk.byteCount > policy.rules.audioMaxBytes {
            refuse(.audioTooLarge, "the chunk is larger than `messages.audio_max_bytes`", id: stream.id, chunk: number, turn: &turn)
            return nil
        }
        guard let duration = stream.clock.nanoseconds(adding: chunk) else {
            refuse(.invalidAudio, "the chunk isn't an Opus packet (RFC 6716)", id: stream.id, chunk: number, turn: &turn)
            return nil
        }
        return duration
    }

    private mutating func admit(
        _ chunk: RawSpan, of stream: AudioIntake.Stream, number: UInt64, duration: Int64, overBytes: LimitWait?, turn: inout Turn
    ) -> Bool {
        if let wait = overBytes {
            refuseRate(
                Limit.byte.excess, id: stream.id, chunk: number, wait: wait, turn: &turn)
            return false
        }
        if let wait = admission.admitGlobally(sharedNow: turn.sharedNow) {
            refuseRate(
                "the gateway takes no more messages at the moment", id: stream.id, chunk: number, wait: wait, turn: &turn)
            return false
        }
        if let wait = self.wait(.chunk, turn: turn) {
            refuseRate(
                Limit.chunk.excess, id: stream.id, chunk: number, wait: wait, turn: &turn)
            return false
        }
        guard isKept(stream.id, chunk: number, turn: &turn),
            hasRoomUpstream(for: chunk.byteCount, id: stream.id, chunk: number, turn: &turn),
            hasMemory(for: chunk.byteCount, id: stream.id, chunk: number, turn: &turn)
        else { return false }
        if let wait = admitRealtime(duration, turn: turn) {
            refuseRate(
                Limit.realtime.excess, code: .tooFast, id: stream.id, chunk: number, wait: wait,
                turn: &turn)
            return false
        }
        _ = admit(.chunk, turn: turn)
        return true
    }

    private mutating func admitRealtime(_ duration: Int64, turn: borrowing Turn) -> LimitWait? {
        admission.admitAudio(duration, now: turn.now, sharedNow: turn.sharedNow)
    }

    mutating func endAudio(_ id: MessageID, turn: inout Turn) {
        switch intake.state {
        case .open(let stream) where stream.id == id:
            acknowledge(id, chunks: stream.accepted, turn: &turn)
            if stream.lacksAudio { failIncomplete(stream, turn: &turn) } else { endInput(of: stream.key, turn: &turn) }
            intake.end()
        case .ignoring(let ignored) where ignored == nil || ignored == id:
            // Its opening was refused or repeated, and answered then.
            intake.end()
        default:
            refuse(.invalidAudio, "no audio stream with this id is open", param: "/id", id: id, turn: &turn)
        }
    }

    /// Fails the request of a recording that lacks chunks: its answer would pass for that of the whole recording.
    private mutating func failIncomplete(_ stream: AudioIntake.Stream, turn: inout Turn) {
        turn.commands.append(.cancel(stream.key, playedMilliseconds: nil))
        let message = "the recording is incomplete: chunk \(stream.accepted &+ 1) was refused or ignored, and wasn't sent again"
        let failure = UpstreamEvent.Content.failure(.invalidAudio, message: message, retryAfterMilliseconds: nil, isRetryable: true)
        receive(UpstreamEvent(stream.key, failure, isLast: true), turn: &turn)
    }

    private mutating func endInput(of key: RequestKey, turn: inout Turn) {
        turn.commands.append(.audioEnd(key))
        guard let index = inFlight.index(of: key) else { return }
        inFlight[index].hasEnded = true
        inFlight[index].inputEndedAt = turn.now
        if turn.batch != nil { inFlight.promise(key, inFlight[index].id) }
        rememberAudio(of: inFlight[index], wall: turn.wall)
        changes &+= 1
    }

    mutating func resumeAudio(_ id: MessageID, from chunk: UInt64, turn: inout Turn) {
        switch intake.state {
        case .open(let stream) where stream.id == id:
            guard intake.resume(from: chunk) else {
                return refuse(
                    .invalidAudio, "the next chunk is \(stream.accepted &+ 1)", param: "/from", id: id, turn: &turn)
            }
            acknowledge(id, chunks: stream.accepted, turn: &turn)
        case .ignoring(let ignored) where ignored == nil || ignored == id:
            return
        default:
            refuse(.invalidAudio, "no audio stream with this id is open", param: "/id", id: id, turn: &turn)
        }
    }

    mutating func acknowledge(_ id: MessageID, chunks: UInt64, turn: inout Turn) {
        turn.reply(AckMessage(id, chunks: chunks), isPromise: true, of: inFlight.key(of: id))
        counts.messagesOut &+= 1
        intake.acknowledged(now: turn.now)
    }
}
