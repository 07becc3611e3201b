// SPDX-License-Identifier: Apache-2.0

/// The audio input of a session: at most one open stream, as a state machine over its opening, chunks and end.
///
/// Protocol page, section "Audio": chunks are numbered from 1 without a header. After a rejected chunk, binary frames are ignored until
/// the client sends `from`; after a rejected, duplicate or cancelled opening, they are ignored until the next `audio`.
package struct AudioInput: Sendable {
    /// The reason why binary frames are ignored until the client sends `from`.
    package enum PauseReason: Sendable {
        case rejectedChunk
        /// The opening of another stream was rejected; the following frames belong to that stream.
        case otherOpening
        /// After a reconnect or a repeated opening, it is unknown at which chunk the client continues.
        case unknownPosition
    }

    package struct Stream: Sendable {
        package let id: MessageID
        package let key: RequestKey
        package let format: AudioFormat
        /// Number of accepted chunks.
        package var accepted: UInt64 = 0
        /// Number of chunks acknowledged by the last `ack`, and when it was sent.
        package var acknowledged: UInt64 = 0
        package var acknowledgedAt: Instant
        /// Why frames are ignored until the client sends `from`; nil while they are accepted.
        package var pauseReason: PauseReason?
        /// Whether a chunk was rejected or ignored that the client hasn't sent again.
        package var isIncomplete = false
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
        /// The opening with this id was rejected: its frames and its end are ignored. Nil when the opening had no valid id.
        case ignoring(MessageID?)
    }

    /// The handling of a binary frame.
    package enum Verdict: Sendable {
        case stray
        case ignored
        case chunk(Stream)
    }

    package private(set) var state = State.idle

    /// An `ack` is sent after this many accepted chunks, or this long after the previous `ack` if a chunk was accepted since.
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
        case .open(let stream): stream.pauseReason == nil ? .chunk(stream) : .ignored
        }
    }

    package mutating func open(id: MessageID, key: RequestKey, format: AudioFormat, now: Instant) {
        state = .open(Stream(id: id, key: key, format: format, now: now))
    }

    /// Handles a rejected or repeated opening. An open stream stays open, but waits for `from`: the frames that follow don't belong to it.
    package mutating func ignoreOpening(_ id: MessageID?) {
        guard case .open(let stream) = state else { return state = .ignoring(id) }
        pause(stream.id == id ? .unknownPosition : .otherOpening)
    }

    private mutating func pause(_ reason: PauseReason) {
        guard case .open(var stream) = state else { return }
        stream.pauseReason = reason
        state = .open(stream)
    }

    package mutating func rejectChunk() {
        pause(.rejectedChunk)
        markIncomplete()
    }

    /// Records that a frame was ignored. The open stream is incomplete then, unless the frame belongs to another opening.
    ///
    /// - Returns: whether the stream was complete until now.
    mutating func ignoreChunk() -> Bool {
        guard case .open(let stream) = state, stream.pauseReason == .unknownPosition, !stream.isIncomplete else { return false }
        markIncomplete()
        return true
    }

    private mutating func markIncomplete() {
        guard case .open(var stream) = state else { return }
        stream.isIncomplete = true
        state = .open(stream)
    }

    /// Counts an accepted chunk. Returns true when an `ack` is due.
    package mutating func accept(now: Instant) -> Bool {
        guard case .open(var stream) = state else { return false }
        stream.accepted &+= 1
        state = .open(stream)
        return stream.accepted &- stream.acknowledged >= Self.acknowledgeEvery
            || now - stream.acknowledgedAt >= Self.acknowledgeWithin
    }

    /// Updates the stream's clock and the incomplete frame at its end.
    mutating func update(_ key: RequestKey, clock: AudioStreamClock, frames: FrameAssembler) {
        guard case .open(var stream) = state, stream.key == key else { return }
        (stream.clock, stream.frames) = (clock, frames)
        state = .open(stream)
    }

    /// When the next `ack` is due if no further chunk is accepted.
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

    /// Continues the stream at `chunk`. Returns false when that isn't the next chunk.
    package mutating func resume(from chunk: UInt64) -> Bool {
        guard case .open(var stream) = state, chunk == stream.accepted &+ 1 else { return false }
        stream.pauseReason = nil
        stream.isIncomplete = false
        state = .open(stream)
        return true
    }

    package mutating func end() { state = .idle }

    /// Restores a stream from the store. The client has to send `from` before the next chunk.
    mutating func restore(id: MessageID, key: RequestKey, format: AudioFormat, accepted: UInt64, isIncomplete: Bool, now: Instant) {
        var stream = Stream(id: id, key: key, format: format, accepted: accepted, now: now)
        stream.pauseReason = .unknownPosition
        stream.isIncomplete = isIncomplete
        state = .open(stream)
    }

    /// Handles the end or start of a connection: an open stream waits for `from`, and a rejected opening without an id is forgotten.
    package mutating func suspend() {
        switch state {
        case .open: pause(.unknownPosition)
        case .ignoring(nil): state = .idle
        case .ignoring, .idle: break
        }
    }

    /// Converts times to another clock.
    package mutating func move(by difference: Instant.Duration) {
        guard case .open(var stream) = state else { return }
        stream.acknowledgedAt += difference
        state = .open(stream)
    }

    /// Closes the stream because its request was cancelled or failed. Frames in transit are ignored.
    package mutating func abandon() {
        guard case .open(let stream) = state else { return }
        state = .ignoring(stream.id)
    }
}
