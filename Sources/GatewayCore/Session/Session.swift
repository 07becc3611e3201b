/// A conversation: what it may send, what it remembers, what is in flight, and what waits to be delivered.
///
/// A value without clock, socket or thread; nothing copies it, by accident or else, for there is one of each. Messages, events and `now`
/// go in, actions come out in a ``Turn``; its aspects are `Session+Opening`, `+Resuming`, `+Text`, `+Audio`, `+Control` (what clients send), `+Upstream`
/// (what upstreams answer), `+Deadlines`, `+Refusal` and `+Memory`.
package struct Session: ~Copyable, Sendable {
    /// A request that was accepted and hasn't got its last message yet.
    package struct InFlight: Sendable {
        package let key: RequestKey
        package let id: MessageID
        package internal(set) var startedAt: Instant
        /// When its audio had come in.
        var inputEndedAt: Instant?
        /// When its answer began.
        var answeredAt: Instant?
        /// Of what goes along with it to the upstream: `meta`, `lang`, `voice`.
        package let extraBytes: Int
        /// Deltas of a streamed answer, for the history.
        package var answer: [UInt8] = []
        /// The answer was too long for the history, which keeps its beginning.
        package var isAnswerCut = false
        /// What it consists of in audio, and its answer.
        var audio = History.Audio()
        var answerAudio = History.Audio()
        var answerClock: AudioStreamClock?
        /// The history has an entry of its answer that tells the latency.
        var isTold = false
        /// Something of its answer was sequenced.
        package var isAnswered = false
        /// Something of its answer can be read or heard.
        var hasSaid = false
        /// The request as the store is to get it; nil once it has, and where there is no store.
        var record: [UInt8]?
        /// Audio chunks that the store has; nil for a text.
        package var storedChunks: UInt64?
        /// Its audio has ended.
        package var hasEnded = false
    }

    /// Counts for the `status` report and the line of a closed connection.
    package struct Counts: Sendable {
        package var messagesIn: UInt64 = 0
        package var messagesOut: UInt64 = 0
        package var errors: UInt64 = 0
        package var audioNanoseconds: Int64 = 0
        /// Of WebSocket frames, of connections that are over.
        package var bytesIn: UInt64 = 0
        package var bytesOut: UInt64 = 0
        package var connections: UInt64 = 0
        package var resumes: UInt64 = 0

        package init() {}
    }

    package let id: ULID
    /// Changes with a reload; what limiters have counted stays.
    package var sharedPolicy: SharedPolicy
    package internal(set) var startedAt: Instant
    /// The same in Unix milliseconds. Stored, because a conversion between the two clocks gives a slightly different result each time.
    package internal(set) var beganAt: Int64
    /// When the connection that it has, or had last, was opened. Unix milliseconds.
    package internal(set) var connectedAt: Int64
    /// Unix milliseconds.
    package internal(set) var expiresAt: Int64

    package var outbox: Outbox
    package var history: History
    package internal(set) var timeline = Timeline()
    package var remembered: RememberedIDs
    package var intake = AudioIntake()
    package var ledger = Ledger()
    /// The most that the ledger ever came to.
    package internal(set) var memoryPeak = 0
    package var counts = Counts()
    package internal(set) var inFlight: [InFlight] = []
    package internal(set) var lastMessageAt: Instant
    /// Since when it has no connection; nil while it has one.
    package internal(set) var detachedAt: Instant?
    /// It has ended, by `bye` or by a fatal error: it can't be resumed.
    package internal(set) var ending: SessionEnding?
    package internal(set) var credentials = ResumeCredentials()
    /// Reported by the edge: the smoothed round-trip time.
    package var roundTripNanoseconds: Int64?

    var limiters = SessionLimiters()
    /// The limiters that all sessions of ``client`` share; nil before the first connection.
    var clientLimiters: ClientLimiters?
    /// The client of the connection that the session has, or had last. The session's resources count for it.
    package internal(set) var client = ClientKey.unknown
    let global: SharedLimiter
    /// The path that the client has connected to.
    package var path = ""
    /// Bytes given to the upstream that it hasn't taken yet.
    var upstreamQueued = 0
    /// Nanoseconds until an answer begins, smoothed; nil before the first.
    var answerDelay: Int64?
    var announcedEnd = false
    /// Nanoseconds of audio that may come faster than `limits.audio_realtime_factor` allows, because there was no connection to send it on.
    var outageCredit: Int64 = 0
    /// Progress of playback over `limits.control_per_minute`, the newest only.
    var heldStatus: ClientMessage.Status?
    var lastRequest: UInt64 = 0
    /// Goes up with everything that the store has to hear of, beside messages, ids and history.
    var changes: UInt64 = 1
    /// ``changes`` as of the last time that the store heard of it.
    var storedChanges: UInt64 = 0
    /// Requests, and ends of recordings, that were accepted and aren't durable yet, the oldest first.
    var unkept: [(key: RequestKey, id: MessageID)] = []
    /// How many there were before those in ``unkept``.
    var keptCount: UInt64 = 0

    package init(id: ULID, policy shared: SharedPolicy, global: SharedLimiter, now: Instant, wall: Int64) {
        self.id = id
        sharedPolicy = shared
        let policy = shared.value
        self.global = global
        startedAt = now
        beganAt = wall
        lastMessageAt = now
        connectedAt = wall
        expiresAt = policy.lifetime == .max ? .max : wall.addingReportingOverflow(policy.lifetime / 1_000_000).partialValue
        outbox = Outbox(maximumCount: policy.outboxMessages, maximumBytes: policy.outboxBytes)
        history = History(maximumCount: policy.historyMessages, maximumBytes: policy.historyBytes)
        remembered = RememberedIDs(capacity: policy.duplicateIDs)
    }

    package var isOver: Bool { ending != nil }

    package var policy: SessionPolicy { _read { yield sharedPolicy.value } }

    /// Whether something waits for the socket, or soon will.
    package var hasWaiting: Bool { outbox.hasWaiting || intake.acknowledgeDeadline != nil }

    /// A whole text frame.
    package mutating func receive(text bytes: RawSpan, scanner: inout MessageScanner, turn: inout Turn) {
        counts.messagesIn &+= 1
        lastMessageAt = turn.now
        let overBytes = admit(.byte, Int64(bytes.byteCount), turn: turn)
        let message: ClientMessage
        do throws(MessageFault) {
            message = try scanner.scan(bytes)
        } catch {
            return refuse(error, turn: &turn)
        }
        if case .bye = message { return bye(turn: &turn) }
        // Read first: a refusal names the message, and what follows a refused opening is ignored.
        if let wait = overBytes {
            return refuseRate(message, "more bytes a second than `limits.bytes_per_second` allows", wait: wait, turn: &turn)
        }
        if case .ack(let sequence) = message { return acknowledge(sequence) }
        if let wait = global.admit(at: policy.global, now: turn.sharedNow) {
            return refuseRate(
                message, "the gateway takes no more messages at the moment", wait: LimitWait(nanoseconds: wait), turn: &turn)
        }
        switch message {
        case .ping(let id, let ts): ping(id: id, ts: ts, in: bytes, turn: &turn)
        case .text(let text): accept(text, in: bytes, turn: &turn)
        case .audioOpen(let open): accept(open, in: bytes, turn: &turn)
        case .audioEnd(let id): endAudio(id, turn: &turn)
        case .audioFrom(let id, let chunk): resumeAudio(id, from: chunk, turn: &turn)
        case .status(let status): self.status(status, turn: &turn)
        case .cancel(let id, _, let played): cancel(id, playedMilliseconds: played, turn: &turn)
        case .auth: auth(turn: &turn)
        case .bye, .ack: break
        }
    }

    /// Whether a ping or pong of the WebSocket is within `limits.bytes_per_second`. Neither is a message, and no other limit binds them:
    /// that they cost more than their few bytes is counted. One beyond counts as refused, without an error: a WebSocket library sends
    /// them by itself, and the program above it would be told about something that it doesn't know.
    package mutating func admitsControlFrame(of byteCount: Int, turn: inout Turn) -> Bool {
        let cost = max(Int64(byteCount), Self.controlFrameBytes)
        guard admit(.byte, cost, turn: turn) != nil else { return true }
        countRefusal(turn: &turn)
        return false
    }

    /// What a control frame counts as, at least.
    static let controlFrameBytes: Int64 = 64

    /// Whether not even a byte more is within `limits.bytes_per_second`.
    package func isOverBytes(turn: borrowing Turn) -> Bool { wait(.byte, turn: turn) != nil }

    /// Whether a binary message would be more than ignored or refused.
    package var takesBinary: Bool { if case .chunk = intake.verdict { true } else { false } }

    /// A compressed message came although ``isOverBytes(turn:)``, or a binary one although not ``takesBinary``: refused unread, so that its id
    /// isn't known.
    package mutating func refuseSkipped(isBinary: Bool, turn: inout Turn) {
        if isBinary { return refuseSkippedBinary(turn: &turn) }
        counts.messagesIn &+= 1
        refuseSkipped(turn: &turn)
    }

    mutating func refuseSkipped(id: MessageID? = nil, chunk: UInt64? = nil, turn: inout Turn) {
        let wait = self.wait(.byte, for: Self.controlFrameBytes, turn: turn) ?? LimitWait(nanoseconds: 0)
        refuseRate("more bytes a second than `limits.bytes_per_second` allows", id: id, chunk: chunk, wait: wait, turn: &turn)
    }

    /// A message came in more bytes than it inflated to: `limits.bytes_per_second` counts what was worked on.
    package mutating func chargeOverhead(of byteCount: Int, turn: inout Turn) {
        if admit(.byte, Int64(byteCount), turn: turn) != nil { countRefusal(turn: &turn) }
    }

    mutating func nextRequest() -> RequestKey {
        lastRequest &+= 1
        return RequestKey(number: lastRequest)
    }

    /// Takes an accepted request into flight, and to the upstream.
    mutating func begin(_ request: consuming UpstreamRequest, kind: RememberedIDs.Kind, turn: inout Turn) {
        remembered.insert(request.id, kind: kind)
        var flight = InFlight(key: request.key, id: request.id, startedAt: turn.now, extraBytes: request.extraBytes)
        if turn.batch != nil {
            var record: [UInt8] = []
            request.append(to: &record)
            flight.record = record
            unkept.append((request.key, request.id))
        }
        inFlight.append(flight)
        changes &+= 1
        turn.commands.append(.start(request))
    }

    /// Takes a request out of flight.
    mutating func finish(_ key: RequestKey, turn: inout Turn) {
        guard let index = inFlight.firstIndex(where: { $0.key == key }) else { return }
        if let chunks = inFlight[index].storedChunks {
            turn.batch?.remove(id, .chunk, key.chunks.lowerBound..<key.chunks.lowerBound + chunks)
        }
        // Most are over before the store hears of them.
        if inFlight[index].record == nil { turn.batch?.remove(id, .request, key.number..<key.number &+ 1) }
        remember(inFlight.remove(at: index), wall: turn.wall)
        changes &+= 1
    }

    /// Forwards the whole frames of a chunk to the upstream, and stores the chunk as it came.
    mutating func forward(
        _ chunk: RawSpan, lasting nanoseconds: Int64, of key: RequestKey, frames: inout FrameAssembler, turn: inout Turn
    ) {
        counts.audioNanoseconds &+= nanoseconds
        send(chunk, of: key, frames: &frames, turn: &turn)
        guard let index = inFlight.firstIndex(where: { $0.key == key }) else { return }
        inFlight[index].audio.add(chunk, lasting: nanoseconds)
        guard turn.batch != nil else { return }
        let number = inFlight[index].storedChunks ?? 0
        turn.batch?.put(id, .chunk, key.chunks.lowerBound + number) { $0.append(bytesOf: chunk) }
        inFlight[index].storedChunks = number + 1
        changes &+= 1
    }

    /// Forwards the frames that a chunk completes to the upstream.
    mutating func send(_ chunk: RawSpan, of key: RequestKey, frames: inout FrameAssembler, turn: inout Turn) {
        frames.add(chunk) { whole in
            upstreamQueued += whole.byteCount
            turn.send(whole, of: key)
        }
    }

    /// Puts a sequenced message into the outbox.
    @inline(__always)
    mutating func sequence(
        _ message: borrowing some OutgoingMessage & ~Copyable, kind: Outbox.Kind = .json, request: RequestKey?, turn: inout Turn
    ) {
        turn.scratch.removeAll(keepingCapacity: turn.scratch.capacity <= 262_144)
        turn.scratch.append(message, sequence: outbox.nextSequence)
        turn.scratch.withRawSpan { outbox.append($0, kind: kind, request: request) }
        counts.messagesOut &+= 1
    }
}
