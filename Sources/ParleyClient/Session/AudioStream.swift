// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore

/// A stream of audio to the gateway. Its chunks are kept until the gateway has accepted them.
struct AudioStream: Sendable {
    /// The duration of unaccepted audio at which the stream is full.
    static let keptDuration = Duration.seconds(30)
    /// Bytes of unaccepted audio at which the stream is full, whatever their duration.
    static let keptBytes = 8 << 20
    /// The largest chunk in bytes (protocol page, section "Audio").
    static let maximumChunkBytes = 1_000_000
    /// The least pause before a rejected opening is repeated.
    private static let minimumPause = Duration.milliseconds(250)

    enum Output: Equatable {
        case opening
        case message(ClientRequest)
        case chunk([UInt8])
    }

    private enum Phase {
        case unopened
        /// The opening was sent; its `ack` tells how many chunks the gateway has.
        case opening
        case open
    }

    let id: String
    private let format: AudioFormat
    private var upload = AudioUpload()
    private var phase = Phase.unopened
    /// The chunks after ``AudioUpload/accepted``.
    private var chunks: Deque<[UInt8]> = []
    private var durations: Deque<Duration> = []
    private(set) var buffered = Duration.zero
    private(set) var bufferedBytes = 0
    private var isAcknowledged = false
    private var notBefore: Instant?

    init(id: String, format: AudioFormat) {
        self.id = id
        self.format = format
    }

    var isFull: Bool { buffered >= Self.keptDuration || bufferedBytes >= Self.keptBytes }
    /// Whether the gateway needs nothing more, as far as the client knows.
    var hasEnded: Bool { upload.hasEnded }
    var isComplete: Bool { upload.isComplete }

    // MARK: The application's side

    mutating func append(_ chunk: [UInt8]) {
        guard !upload.hasEnded, !upload.isComplete else { return }
        let duration = Duration.nanoseconds(AudioDuration.nanoseconds(of: chunk.span.bytes, format: format) ?? 0)
        chunks.append(chunk)
        durations.append(duration)
        buffered += duration
        bufferedBytes += chunk.count
        upload.append(duration: duration)
    }

    mutating func complete() { upload.complete() }

    // MARK: The gateway's side

    /// Prepares for a new connection.
    ///
    /// - Parameters:
    ///   - accepted: what the gateway has of the stream; nil if the stream isn't open there
    ///   - factor: the limit of the pace
    mutating func connected(accepted: Int?, factor: Double?, now: Instant) {
        notBefore = nil
        upload.limit(toFactor: factor)
        if let accepted {
            isAcknowledged = true
            resume(after: accepted, now: now)
        } else if isAcknowledged {
            // The gateway has the end already, or has ended the request; its last message follows.
            end()
        } else {
            reopen()
        }
    }

    mutating func acknowledged(chunks count: Int?, isDuplicate: Bool, now: Instant) {
        let isFirst = phase == .opening && !isAcknowledged
        isAcknowledged = true
        if isFirst, isDuplicate {
            // The gateway had accepted the opening on an earlier connection.
            guard let count else { return end() }
            return resume(after: count, now: now)
        }
        phase = .open
        upload.acknowledged(count ?? 0, now: now)
        releaseAccepted()
    }

    mutating func openingRejected(delay: Duration, now: Instant) {
        reopen()
        notBefore = now.advanced(by: max(delay, Self.minimumPause))
    }

    /// Pauses after a rejected chunk.
    ///
    /// - Returns: false if the stream can't continue
    mutating func rejected(_ error: ServerMessage.Failure, now: Instant) -> Bool {
        // The gateway fails the request if it has received the end.
        guard !upload.hasEnded else { return true }
        let recovery = upload.rejected(error.code, chunk: error.chunk, retryAfter: error.retryAfterMilliseconds, now: now)
        releaseAccepted()
        return recovery != .fails
    }

    private mutating func resume(after accepted: Int, now: Instant) {
        phase = .open
        // Chunks before the kept ones can't be sent again; the gateway never reports fewer than it has acknowledged.
        guard accepted >= upload.accepted, upload.resumed(chunks: accepted, now: now) else { return end() }
        releaseAccepted()
    }

    private mutating func reopen() {
        guard upload.accepted == 0 else { return end() }
        phase = .unopened
        upload.reopened()
    }

    private var released = 0

    private mutating func releaseAccepted() {
        while released < upload.accepted, let chunk = chunks.popFirst(), let duration = durations.popFirst() {
            released += 1
            buffered -= duration
            bufferedBytes -= chunk.count
        }
    }

    private mutating func end() {
        upload.end()
        (chunks, durations, buffered, bufferedBytes) = ([], [], .zero, 0)
    }

    // MARK: Sending

    /// Appends what is to be sent now.
    ///
    /// - Returns: when to ask again; nil: after a message of the gateway, or more audio
    mutating func take(into output: inout [Output], now: Instant) -> Instant? {
        if let notBefore, notBefore > now { return notBefore }
        if phase == .unopened, !upload.hasEnded {
            phase = .opening
            output.append(.opening)
        }
        while true {
            switch upload.nextAction(now: now) {
            case .send(let number):
                let index = number - released - 1
                guard chunks.indices.contains(index) else { return nil }
                output.append(.chunk(chunks[index]))
            case .resume(let number): output.append(.message(.resumeAudio(id: id, from: number)))
            case .end: output.append(.message(.endAudio(id: id)))
            case .wait(let until): return until
            }
        }
    }
}
