// SPDX-License-Identifier: Apache-2.0

/// An accepted request whose last message hasn't been sent yet.
package struct InFlightRequest: Sendable {
    package let key: RequestKey
    package let id: MessageID
    package internal(set) var startedAt: Instant
    /// When the audio input ended.
    var inputEndedAt: Instant?
    /// When the first event of the response was received.
    var responseBeganAt: Instant?
    /// Bytes of `meta`, `lang` and `voice`, which the upstream receives with the request.
    package let extraBytes: Int
    /// Deltas of a streamed response, for the history.
    package var responseText: [UInt8] = []
    /// Whether the response was too long for the history, which contains only its beginning.
    package var isResponseTruncated = false
    /// The amount of audio of the request.
    var audio = History.Audio()
    /// The amount of audio of the response.
    var responseAudio = History.Audio()
    var responseClock: AudioStreamClock?
    /// The duration of the response's audio so far.
    var spokenNanoseconds: Int64 = 0
    /// The duration of the response's audio, which outlasts ``responseAudio`` and ``spokenNanoseconds``.
    var generatedNanoseconds: Int64 = 0
    /// Whether the response has a text.
    var hasText = false
    /// Whether the response has audio.
    var hasAudio = false
    /// Whether an audio output was begun but not ended.
    var isAudioOpen = false
    /// Whether the history has an entry with the latency of the response, or doesn't need one.
    var hasLatencyEntry = false
    /// Whether an event of the response was received.
    package var hasResponse = false
    /// Whether the response contains text other than white space, or audio.
    var hasOutput = false
    /// The record to store; nil once it is in a batch, and without a store.
    var record: [UInt8]?
    /// The usage that is charged to the session's user; nil without a user.
    var charge: RequestCharge?
    /// Number of stored audio chunks; nil before the first chunk and for a text.
    package var storedChunks: UInt64?
    /// Whether the audio input has ended.
    package var inputEnded = false
    /// ``startedAt`` in Unix milliseconds.
    let startedAtMilliseconds: Int64
    let kind: Turn.Kind
    private var offsets = Turn.Offsets()
    /// The outcome that ``turn`` reports.
    var outcome = Turn.Outcome.open
    /// The errors about the request that were sent before its last message.
    private var failures: [Turn.Failure] = []
    private var played: UInt32 = 0

    init(key: RequestKey, id: MessageID, kind: RecentIDs.Kind, startedAt: Instant, wall: Int64, extraBytes: Int) {
        self.key = key
        self.id = id
        self.kind = kind == .audio ? .audio : .text
        self.startedAt = startedAt
        self.startedAtMilliseconds = wall
        self.extraBytes = extraBytes
    }

    /// Bytes counted for a request in flight in addition to its content.
    static let baseBytes = 1024

    /// Bytes held for the request. The record exists until it is added to a batch, which may wait for the disk.
    @inline(__always)
    var footprint: Int { Self.baseBytes + extraBytes + responseText.capacity + (record?.capacity ?? 0) }

    /// When the user's input was complete: the end of the audio, or the receipt of the text. Nil while audio is open.
    var inputCompletedAt: Instant? { inputEndedAt ?? (audio.bytes == 0 ? startedAt : nil) }

    /// Sets ``hasOutput`` when the text contains more than white space.
    mutating func detectOutput(in text: [UInt8]) { hasOutput = hasOutput || text.contains { $0 > 0x20 } }

    /// Returns the latency of the response, whose last message is sent at `now`.
    // Inlined, because the compiler would pass a copy of the request (500 bytes) otherwise.
    @inline(__always)
    func latency(now: Instant) -> History.Latency {
        func microseconds(_ instant: Instant) -> UInt32 {
            UInt32(clamping: max(.zero, instant - (inputEndedAt ?? startedAt)).nanoseconds / 1000)
        }
        return History.Latency(first: microseconds(responseBeganAt ?? now), last: microseconds(now))
    }

    // MARK: The turn

    /// The turn so far.
    var turn: Turn { turn(outcome) }

    /// Returns the turn with an outcome.
    func turn(_ outcome: Turn.Outcome) -> Turn {
        var turn = Turn(id: id, request: key.number, kind: kind, startedAt: startedAtMilliseconds)
        turn.outcome = outcome
        turn.offsets = offsets
        turn.audioIn = Self.milliseconds(audio)
        turn.audioOut = UInt32(clamping: (generatedNanoseconds + 500_000) / 1_000_000)
        turn.played = played
        // A report before the end of the response counts once its audio is complete.
        if played > 0, outcome == .open || !turn.isPlayed { turn.offsets[.played] = nil }
        turn.failures = failures
        return turn
    }

    /// Restores what ``turn`` returned.
    mutating func restore(_ turn: Turn) {
        (offsets, outcome, failures, played) = (turn.offsets, turn.outcome, turn.failures, turn.played)
    }

    private static func milliseconds(_ audio: History.Audio) -> UInt32 { UInt32(clamping: audio.nanoseconds / 1_000_000) }

    /// Marks the first time at which the turn reaches a stage.
    mutating func mark(_ stage: Turn.Stage, now: Instant) {
        if offsets[stage] == nil { offsets[stage] = Turn.offset(from: startedAt, to: now) }
    }

    /// Marks a final transcript. The last one completes the stage.
    mutating func markTranscript(now: Instant) { offsets[.transcript] = Turn.offset(from: startedAt, to: now) }

    mutating func update(played milliseconds: Int64, now: Instant) {
        played = max(played, UInt32(clamping: min(milliseconds, Int64(UInt32.max / 2))))
        offsets[.played] = Turn.offset(from: startedAt, to: now)
    }

    mutating func add(_ failure: Turn.Failure) {
        if failures.count < Turn.maximumFailures { failures.append(failure) }
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) {
        startedAt += difference
        inputEndedAt = inputEndedAt.map { $0 + difference }
        responseBeganAt = responseBeganAt.map { $0 + difference }
    }
}
