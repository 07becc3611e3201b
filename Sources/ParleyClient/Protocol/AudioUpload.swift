// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The state machine that sends a recording in chunks: when each chunk is due, and how sending continues after a rejection.
///
/// Protocol page, section "Audio": chunks are numbered from 1, `ack` carries the number of accepted chunks, and after a rejection the gateway
/// ignores frames until `from`. This type handles only numbers and times; the caller reads and sends the bytes. The number of chunks is known
/// from the beginning, as for a file, or grows until ``complete()``, as for a microphone.
package struct AudioUpload: Sendable {
    package enum Pace: Sendable {
        /// In real time, as a microphone does.
        case realtime
        /// As fast as the gateway's limits allow.
        case fast
    }

    package enum Action: Sendable, Equatable {
        case send(chunk: Int)
        case resume(from: Int)
        case end
        /// Nothing to do until this time, or until a message from the gateway; nil: only until a message.
        case wait(until: Instant?)
    }

    package enum Recovery: Sendable, Equatable {
        case continues(after: Duration)
        case fails
    }

    /// Maximum number of unacknowledged chunks; the gateway acknowledges every 64.
    package static let window = 128
    /// Maximum wait for the last acknowledgement, which the gateway sends within a second.
    static let lastAckTimeout = Duration.seconds(2)
    /// Delay before the next attempt if the gateway sent no `retry_after_ms`; doubled with each consecutive rejection.
    static let firstDelay = Duration.milliseconds(100)
    static let longestDelay = Duration.seconds(2)
    /// Fraction of the gateway's real-time factor that is used, to allow for clock differences.
    static let margin = 0.95
    /// The real-time factor if the session reports none: the configuration's default.
    static let defaultFactor = 1.0

    /// Nanoseconds of audio that the gateway accepts in advance of real time, with a margin.
    private static let burst: Int64 = 2_000_000_000

    private enum State: Equatable {
        case opening
        case sending
        case pausing(until: Instant)
        /// All chunks were sent; the last ones aren't acknowledged yet.
        case awaitingLastAck(until: Instant)
        case ended
    }

    package private(set) var chunkCount: Int
    /// Whether no more chunks follow ``chunkCount``.
    package private(set) var isComplete: Bool
    /// The duration of a chunk; the mean for a growing stream.
    private var chunkNanoseconds: Int64
    private let pace: Pace
    private var gatewayFactor: Double?
    private let isGrowing: Bool
    /// When the gateway acknowledged the opening.
    private var begun: Instant?
    private var state = State.opening
    /// The number of the next chunk to send.
    private var next = 1
    /// Chunks that the gateway has acknowledged as accepted.
    package private(set) var accepted = 0
    /// Number of rejections.
    package private(set) var rejections = 0
    /// Rejections since the last progress.
    private var consecutiveRejections = 0
    /// Pacing: chunk `originChunk` is due at `origin`, and each further chunk `interval` nanoseconds later; nil: chunks are due at once.
    private var origin = Instant(nanoseconds: 0)
    private var originChunk = 1
    private var interval: Int64?

    /// - Parameters:
    ///   - gatewayFactor: the session's `limits.audio_realtime_factor`
    package init(chunkCount: Int, chunkDuration: Duration, pace: Pace, gatewayFactor: Double? = nil) {
        self.chunkCount = chunkCount
        chunkNanoseconds = max(1, chunkDuration.clampedNanoseconds)
        self.pace = pace
        self.gatewayFactor = gatewayFactor.flatMap { $0.isFinite && $0 > 0 ? $0 : nil }
        interval = pace == .realtime ? chunkNanoseconds : nil
        (isComplete, isGrowing) = (true, false)
    }

    /// A growing stream without chunks.
    package init() {
        (chunkCount, chunkNanoseconds, pace, gatewayFactor) = (0, 20_000_000, .fast, nil)
        (isComplete, isGrowing) = (false, true)
    }

    /// Adds a chunk to a growing stream.
    package mutating func append(duration: Duration) {
        guard !isComplete else { return }
        let difference = max(1, duration.clampedNanoseconds).subtractingReportingOverflow(chunkNanoseconds)
        chunkCount += 1
        guard !difference.overflow else { return }
        chunkNanoseconds = max(1, chunkNanoseconds + difference.partialValue / Int64(chunkCount))
    }

    /// Completes a growing stream: the end follows the last chunk.
    package mutating func complete() { isComplete = true }

    /// Ends the stream, because the gateway needs nothing more.
    package mutating func end() { state = .ended }

    /// - Parameter factor: the new session's `limits.audio_realtime_factor`
    package mutating func limit(toFactor factor: Double?) {
        gatewayFactor = factor.flatMap { $0.isFinite && $0 > 0 ? $0 : nil }
    }

    package var hasEnded: Bool { state == .ended }

    /// Records that the gateway has accepted `chunks` chunks. The first call, for the `ack` of the opening message, starts sending.
    package mutating func acknowledged(_ chunks: Int, now: Instant) {
        if state == .opening {
            state = .sending
            origin = now
            if begun == nil { begun = now }
        }
        guard chunks > accepted, chunks < next else { return }
        accepted = chunks
        consecutiveRejections = 0
    }

    /// Records that the gateway has rejected a chunk.
    ///
    /// - Parameter code: the error code; only `too_fast`, `rate_limited` and `overloaded` are temporary
    /// - Returns: how long the stream pauses, or that it can't continue
    package mutating func rejected(_ code: String, chunk: Int?, retryAfter milliseconds: Int64?, now: Instant) -> Recovery {
        guard ["too_fast", "rate_limited", "overloaded"].contains(code), state != .opening, state != .ended else { return .fails }
        guard let chunk, chunk > accepted, chunk < next else { return .fails }
        accepted = chunk - 1
        next = chunk
        rejections += 1
        consecutiveRejections += 1
        slowDown()
        let requestedDelay = milliseconds.map { Duration.milliseconds(max(0, min($0, 3_600_000))) }
        let backoff = min(Self.firstDelay * (1 << min(consecutiveRejections - 1, 10)), Self.longestDelay)
        let delay = requestedDelay ?? backoff
        state = .pausing(until: now.advanced(by: delay))
        return .continues(after: delay)
    }

    /// Continues on a new connection, after the gateway has accepted `chunks` chunks of the open stream.
    ///
    /// - Returns: false if the gateway reports more chunks than were sent
    package mutating func resumed(chunks: Int, now: Instant) -> Bool {
        guard (0..<next).contains(chunks) else { return false }
        accepted = chunks
        next = chunks + 1
        consecutiveRejections = 0
        state = .pausing(until: now)
        return true
    }

    /// Restarts from the first chunk, because the gateway has no such stream.
    package mutating func reopened() {
        (accepted, next, consecutiveRejections, state) = (0, 1, 0, .opening)
    }

    /// Returns the next action. Call it again after each action except `wait` and `end`.
    package mutating func nextAction(now: Instant) -> Action {
        switch state {
        case .opening, .ended: return .wait(until: nil)
        case .pausing(let until):
            guard until <= now else { return .wait(until: until) }
            state = .sending
            origin = now
            originChunk = next
            return .resume(from: next)
        case .awaitingLastAck(let until):
            guard accepted == chunkCount || until <= now else { return .wait(until: until) }
            state = .ended
            return .end
        case .sending:
            guard next <= chunkCount else { return isComplete ? finish(now) : .wait(until: nil) }
            // In real time, sending doesn't wait for acknowledgements.
            guard pace == .realtime || next - accepted <= Self.window else { return .wait(until: nil) }
            if let interval {
                let due = origin.advanced(byNanoseconds: Int64(next - originChunk) &* interval)
                guard due <= now else { return .wait(until: due) }
            }
            next += 1
            return .send(chunk: next - 1)
        }
    }

    /// Ends the stream. Without a rejection, a stream in real time doesn't wait for its last acknowledgement, which can take a second.
    private mutating func finish(_ now: Instant) -> Action {
        if accepted == chunkCount || rejections == 0 && (pace == .realtime || isGrowing && !isAhead(now)) {
            state = .ended
            return .end
        }
        state = .awaitingLastAck(until: now.advanced(by: Self.lastAckTimeout))
        return nextAction(now: now)
    }

    /// Whether a growing stream was sent faster than in real time, so that the gateway may still reject a chunk.
    private func isAhead(_ now: Instant) -> Bool {
        let (sent, overflow) = chunkNanoseconds.multipliedReportingOverflow(by: Int64(chunkCount))
        guard let begun, !overflow else { return true }
        return sent > (now - begun).nanoseconds && sent - (now - begun).nanoseconds > Self.burst
    }

    /// Reduces the fast pace to just below the gateway's limit, and by another 10 % with each further rejection.
    private mutating func slowDown() {
        let factor: Double
        if let interval {
            factor = max(0.5, Double(chunkNanoseconds) / Double(interval) * 0.9)
        } else {
            factor = (gatewayFactor ?? Self.defaultFactor) * Self.margin
        }
        // A real-time stream keeps its pace, which restarts when the stream resumes.
        guard pace == .fast else { return }
        interval = Int64(Double(chunkNanoseconds) / factor)
    }
}
