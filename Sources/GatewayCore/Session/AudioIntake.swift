/// The one audio stream that a client has open, as a state machine over its opening, chunks and end.
///
/// Protocol page, section "Audio": chunks are numbered from 1 without a header. After a refused chunk binary frames are ignored until
/// the client says `from`; after a refused, duplicate or cancelled opening they are ignored until the next `audio`.
package struct AudioIntake: Sendable {
    /// Why binary frames are ignored until `from`.
    package enum Wait: Sendable {
        case refusedChunk
        /// The opening of another stream was refused: the frames that follow are that one's.
        case otherOpening
        /// On a new connection, or behind a repeated opening, the client has yet to tell where it goes on.
        case unknownPosition
    }

    package struct Stream: Sendable {
        package let id: MessageID
        package let key: RequestKey
        package let format: AudioFormat
        /// Chunks accepted.
        package var accepted: UInt64 = 0
        /// Chunks that the last `ack` named, and when it went out.
        package var acknowledged: UInt64 = 0
        package var acknowledgedAt: Instant
        /// Set until the client says `from`.
        package var wait: Wait?
        /// A chunk was refused or ignored, and the client hasn't gone back to it.
        package var lacksAudio = false
        var clock: AudioStreamClock
        var frames: FrameAssembler

        init(id: MessageID, key: RequestKey, format: AudioFormat, accepted: UInt64 = 0, now: Instant) {
            self.id = id
            self.key = key
            self.format = format
            self.accepted = accepted
            acknowledged = accepted
            acknowledgedAt = now
            clock = AudioStreamClock(format: format)
            frames = FrameAssembler(format)
        }
    }

    package enum State: Sendable {
        case idle
        case open(Stream)
        /// Frames and the end of this opening are ignored; nil when it had no valid id.
        case ignoring(MessageID?)
    }

    /// What to do with a binary frame.
    package enum Verdict: Sendable {
        case stray
        case ignored
        case chunk(Stream)
    }

    package private(set) var state = State.idle

    /// An `ack` names accepted chunks at least this often.
    package static let acknowledgeEvery: UInt64 = 64
    package static let acknowledgeWithin = Instant.Duration.seconds(1)

    package init() {}

    package var stream: Stream? {
        if case .open(let stream) = state { stream } else { nil }
    }

    package var verdict: Verdict {
        switch state {
        case .idle: .stray
        case .ignoring: .ignored
        case .open(let stream): stream.wait == nil ? .chunk(stream) : .ignored
        }
    }

    package mutating func open(id: MessageID, key: RequestKey, format: AudioFormat, now: Instant) {
        state = .open(Stream(id: id, key: key, format: format, now: now))
    }

    /// The opening was refused or repeated. A stream that is open stays so, but waits for `from`: the frames that follow aren't its own.
    package mutating func ignoreOpening(_ id: MessageID?) {
        guard case .open(let stream) = state else { return state = .ignoring(id) }
        wait(stream.id == id ? .unknownPosition : .otherOpening)
    }

    private mutating func wait(_ reason: Wait) {
        guard case .open(var stream) = state else { return }
        stream.wait = reason
        state = .open(stream)
    }

    package mutating func refuseChunk() {
        wait(.refusedChunk)
        lackAudio()
    }

    /// Notes that a frame was ignored: the open stream lacks it, unless it belongs to another opening.
    ///
    /// - Returns: whether it is the first one
    mutating func ignoreChunk() -> Bool {
        guard case .open(let stream) = state, stream.wait == .unknownPosition, !stream.lacksAudio else { return false }
        lackAudio()
        return true
    }

    private mutating func lackAudio() {
        guard case .open(var stream) = state else { return }
        stream.lacksAudio = true
        state = .open(stream)
    }

    /// Counts a chunk; true when its `ack` is due.
    package mutating func accept(now: Instant) -> Bool {
        guard case .open(var stream) = state else { return false }
        stream.accepted &+= 1
        state = .open(stream)
        return stream.accepted &- stream.acknowledged >= Self.acknowledgeEvery
            || now - stream.acknowledgedAt >= Self.acknowledgeWithin
    }

    /// Keeps how long the stream is, and what of a frame it ends with.
    mutating func update(_ key: RequestKey, clock: AudioStreamClock, frames: FrameAssembler) {
        guard case .open(var stream) = state, stream.key == key else { return }
        (stream.clock, stream.frames) = (clock, frames)
        state = .open(stream)
    }

    /// When an `ack` falls due without a further chunk.
    package var acknowledgeDeadline: Instant? {
        guard case .open(let stream) = state, stream.accepted > stream.acknowledged else { return nil }
        return stream.acknowledgedAt + Self.acknowledgeWithin
    }

    package mutating func acknowledged(now: Instant) {
        guard case .open(var stream) = state else { return }
        stream.acknowledged = stream.accepted
        stream.acknowledgedAt = now
        state = .open(stream)
    }

    /// The client goes on after a refusal. False when `chunk` isn't the next one.
    package mutating func resume(from chunk: UInt64) -> Bool {
        guard case .open(var stream) = state, chunk == stream.accepted &+ 1 else { return false }
        stream.wait = nil
        stream.lacksAudio = false
        state = .open(stream)
        return true
    }

    package mutating func end() { state = .idle }

    /// Restores a stream from the store: the accepted chunks are known, and the client has to say from where it goes on.
    mutating func restore(id: MessageID, key: RequestKey, format: AudioFormat, accepted: UInt64, lacksAudio: Bool, now: Instant) {
        var stream = Stream(id: id, key: key, format: format, accepted: accepted, now: now)
        stream.wait = .unknownPosition
        stream.lacksAudio = lacksAudio
        state = .open(stream)
    }

    /// The connection has gone, or is a new one: an open stream waits for `from`, and what came of a refused opening went with it.
    package mutating func suspend() {
        switch state {
        case .open: wait(.unknownPosition)
        case .ignoring(nil): state = .idle
        case .ignoring, .idle: break
        }
    }

    /// Its times are now those of another clock.
    package mutating func move(by difference: Instant.Duration) {
        guard case .open(var stream) = state else { return }
        stream.acknowledgedAt += difference
        state = .open(stream)
    }

    /// The stream was cancelled or its upstream failed: frames on their way are ignored.
    package mutating func abandon() {
        guard case .open(let stream) = state else { return }
        state = .ignoring(stream.id)
    }
}
