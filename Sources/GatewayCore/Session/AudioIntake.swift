/// The one audio stream that a client has open, as a state machine over its opening, chunks and end.
///
/// Protocol page, section "Audio": chunks are numbered from 1 without a header. After a refused chunk binary frames are ignored until
/// the client says `from`; after a refused, duplicate or cancelled opening they are ignored until the next `audio`.
package struct AudioIntake: Sendable {
    package struct Stream: Sendable {
        package let id: MessageID
        package let key: RequestKey
        package let format: AudioFormat
        /// Chunks accepted.
        package var accepted: UInt64 = 0
        /// Chunks that the last `ack` named, and when it went out.
        package var acknowledged: UInt64 = 0
        package var acknowledgedAt: Instant
        /// A chunk was refused: wait for `from`.
        package var isWaitingForFrom = false
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
    package static let acknowledgeWithin: Int64 = 1_000_000_000

    package init() {}

    package var stream: Stream? {
        if case .open(let stream) = state { stream } else { nil }
    }

    package var verdict: Verdict {
        switch state {
        case .idle: .stray
        case .ignoring: .ignored
        case .open(let stream): stream.isWaitingForFrom ? .ignored : .chunk(stream)
        }
    }

    package mutating func open(id: MessageID, key: RequestKey, format: AudioFormat, now: Instant) {
        state = .open(Stream(id: id, key: key, format: format, acknowledgedAt: now))
    }

    /// The opening was refused or repeated. A stream that is open stays so, but waits for `from`: the frames that follow aren't its own.
    package mutating func ignoreOpening(_ id: MessageID?) {
        if case .open = state { refuseChunk() } else { state = .ignoring(id) }
    }

    package mutating func refuseChunk() {
        guard case .open(var stream) = state else { return }
        stream.isWaitingForFrom = true
        state = .open(stream)
    }

    /// Counts a chunk; true when its `ack` is due.
    package mutating func accept(now: Instant) -> Bool {
        guard case .open(var stream) = state else { return false }
        stream.accepted &+= 1
        state = .open(stream)
        return stream.accepted &- stream.acknowledged >= Self.acknowledgeEvery
            || now.nanoseconds(since: stream.acknowledgedAt) >= Self.acknowledgeWithin
    }

    /// When an `ack` falls due without a further chunk.
    package var acknowledgeDeadline: Instant? {
        guard case .open(let stream) = state, stream.accepted > stream.acknowledged else { return nil }
        return stream.acknowledgedAt.advanced(byNanoseconds: Self.acknowledgeWithin)
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
        stream.isWaitingForFrom = false
        state = .open(stream)
        return true
    }

    package mutating func end() { state = .idle }

    /// As it was written down: the chunks that are accepted, and the client has to say from where it goes on.
    mutating func restore(id: MessageID, key: RequestKey, format: AudioFormat, accepted: UInt64, now: Instant) {
        state = .open(
            Stream(
                id: id, key: key, format: format, accepted: accepted, acknowledged: accepted, acknowledgedAt: now, isWaitingForFrom: true))
    }

    /// The connection has gone, or is a new one: an open stream waits for `from`, and what came of a refused opening went with it.
    package mutating func suspend() {
        switch state {
        case .open: refuseChunk()
        case .ignoring(nil): state = .idle
        case .ignoring, .idle: break
        }
    }

    /// Its times are now those of another clock.
    package mutating func move(byNanoseconds difference: Int64) {
        guard case .open(var stream) = state else { return }
        stream.acknowledgedAt = stream.acknowledgedAt.advanced(byNanoseconds: difference)
        state = .open(stream)
    }

    /// The stream was cancelled or its upstream failed: frames on their way are ignored.
    package mutating func abandon() {
        guard case .open(let stream) = state else { return }
        state = .ignoring(stream.id)
    }
}
