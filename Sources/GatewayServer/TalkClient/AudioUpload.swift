package import GatewayCore

/// The sending of a recording in chunks: when each is due, and what happens after the gateway refused one.
///
/// Protocol page, section "Audio": chunks are numbered from 1, `ack` says how many are accepted, and after a refusal frames are ignored
/// until `from`. The bytes are somebody else's: this knows only numbers and times.
package struct AudioUpload: Sendable {
    package enum Pace: Sendable {
        /// As a microphone would.
        case realtime
        /// As quickly as the gateway's limits permit.
        case fast
    }

    package enum Action: Sendable, Equatable {
        case send(chunk: Int)
        case resume(from: Int)
        case end
        /// Nothing to do until then, or until the gateway says something.
        case wait(until: Instant?)
    }

    package enum Verdict: Sendable, Equatable {
        case goesOn(after: Duration)
        case fails
    }

    /// Chunks that may be under way unacknowledged: the gateway acknowledges every 64.
    package static let window = 128
    /// For the last acknowledgement, which the gateway owes within a second.
    static let settlement = Duration.seconds(2)
    /// Before another try when the gateway gave no advice; doubled each time.
    static let firstDelay = Duration.milliseconds(100)
    static let longestDelay = Duration.seconds(2)
    /// What is left of the gateway's factor for its clock and ours.
    static let margin = 0.95
    /// The factor of the configuration's default, where the session doesn't tell.
    static let usualFactor = 1.0

    private enum State: Equatable {
        case opening
        case sending
        case pausing(until: Instant)
        /// Everything was sent; the last chunks aren't acknowledged yet.
        case settling(until: Instant)
        case ended
    }

    package let chunkCount: Int
    private let chunkNanoseconds: Int64
    private let pace: Pace
    private let gatewayFactor: Double?
    private var state = State.opening
    /// The number of the next chunk to send.
    private var next = 1
    /// Chunks the gateway has accepted, as far as it said.
    package private(set) var accepted = 0
    /// Refusals so far, and in a row.
    package private(set) var refusals = 0
    private var setbacks = 0
    /// The chunk that was due at `origin`, and how long one takes; nil: there is no hurry to be held back.
    private var origin = Instant(nanoseconds: 0)
    private var originChunk = 1
    private var interval: Int64?

    /// - Parameters:
    ///   - gatewayFactor: `limits.audio_realtime_factor` of the session.
    package init(chunkCount: Int, chunkDuration: Duration, pace: Pace, gatewayFactor: Double? = nil) {
        self.chunkCount = chunkCount
        chunkNanoseconds = max(1, chunkDuration.clampedNanoseconds)
        self.pace = pace
        self.gatewayFactor = gatewayFactor.flatMap { $0.isFinite && $0 > 0 ? $0 : nil }
        interval = pace == .realtime ? chunkNanoseconds : nil
    }

    package var hasEnded: Bool { state == .ended }

    /// The gateway has `chunks` chunks. The first time, which answers the opening, sending begins.
    package mutating func acknowledged(_ chunks: Int, now: Instant) {
        if state == .opening {
            state = .sending
            origin = now
        }
        guard chunks > accepted, chunks < next else { return }
        accepted = chunks
        setbacks = 0
    }

    /// The gateway refused something of this stream.
    ///
    /// - Parameter code: only `too_fast`, `rate_limited` and `overloaded` pass by themselves.
    /// - Returns: how long the stream pauses, or that it can't go on.
    package mutating func refused(_ code: String, chunk: Int?, retryAfter milliseconds: Int64?, now: Instant) -> Verdict {
        guard ["too_fast", "rate_limited", "overloaded"].contains(code), state != .opening, state != .ended else { return .fails }
        guard let chunk, chunk > accepted, chunk < next else { return .fails }
        accepted = chunk - 1
        next = chunk
        refusals += 1
        setbacks += 1
        slowDown()
        let advice = milliseconds.map { Duration.milliseconds(max(0, min($0, 3_600_000))) }
        let backoff = min(Self.firstDelay * (1 << min(setbacks - 1, 10)), Self.longestDelay)
        let delay = advice ?? backoff
        state = .pausing(until: now.advanced(by: delay))
        return .goesOn(after: delay)
    }

    /// Continues on another connection, where the gateway has accepted `chunks` chunks of the open stream.
    ///
    /// - Returns: false when the gateway names chunks that were never sent
    package mutating func resumed(chunks: Int, now: Instant) -> Bool {
        guard (0..<next).contains(chunks) else { return false }
        accepted = chunks
        next = chunks + 1
        setbacks = 0
        state = .pausing(until: now)
        return true
    }

    /// Starts the stream again from its first chunk: the gateway has no such stream.
    package mutating func reopened() {
        (accepted, next, setbacks, state) = (0, 1, 0, .opening)
    }

    /// What to do next. To be asked again after each action but `wait` and `end`.
    package mutating func nextAction(now: Instant) -> Action {
        switch state {
        case .opening, .ended: return .wait(until: nil)
        case .pausing(let until):
            guard until <= now else { return .wait(until: until) }
            state = .sending
            origin = now
            originChunk = next
            return .resume(from: next)
        case .settling(let until):
            guard accepted == chunkCount || until <= now else { return .wait(until: until) }
            state = .ended
            return .end
        case .sending:
            guard next <= chunkCount else { return finish(now) }
            // A microphone doesn't wait for acknowledgements.
            guard pace == .realtime || next - accepted <= Self.window else { return .wait(until: nil) }
            if let interval {
                let due = origin.advanced(byNanoseconds: Int64(next - originChunk) &* interval)
                guard due <= now else { return .wait(until: due) }
            }
            next += 1
            return .send(chunk: next - 1)
        }
    }

    /// A stream that was never refused needn't wait for its last acknowledgement, which can take a second.
    private mutating func finish(_ now: Instant) -> Action {
        if pace == .realtime, refusals == 0 || accepted == chunkCount {
            state = .ended
            return .end
        }
        state = .settling(until: now.advanced(by: Self.settlement))
        return nextAction(now: now)
    }

    /// Just under what the gateway lets pass; a bit slower with every further refusal.
    private mutating func slowDown() {
        let factor: Double
        if let interval {
            factor = max(0.5, Double(chunkNanoseconds) / Double(interval) * 0.9)
        } else {
            factor = (gatewayFactor ?? Self.usualFactor) * Self.margin
        }
        // A microphone's pace is kept: what is refused there is caught up with later.
        guard pace == .fast else { return }
        interval = Int64(Double(chunkNanoseconds) / factor)
    }
}
