/// A request that was accepted and hasn't got its last message yet.
package struct InFlightRequest: Sendable {
    package let key: RequestKey
    package let id: MessageID
    package internal(set) var startedAt: Instant
    /// When its audio had come in.
    var inputEndedAt: Instant?
    /// When its response began.
    var answeredAt: Instant?
    /// Bytes of `meta`, `lang` and `voice`, which the upstream gets with the request.
    package let extraBytes: Int
    /// Deltas of a streamed response, for the history.
    package var answer: [UInt8] = []
    /// The response was too long for the history, which keeps its beginning.
    package var isAnswerCut = false
    /// Audio of the request.
    var audio = History.Audio()
    /// Audio of the response.
    var answerAudio = History.Audio()
    var answerClock: AudioStreamClock?
    /// The history has an entry of its response that tells the latency.
    var isTold = false
    /// An event of its response was received.
    package var isAnswered = false
    /// Its response has something to read or to hear.
    var hasSaid = false
    /// The request as the store is to get it; nil once it has, and where there is no store.
    var record: [UInt8]?
    /// Audio chunks that the store has; nil for a text.
    package var storedChunks: UInt64?
    /// Its audio has ended.
    package var hasEnded = false

    init(key: RequestKey, id: MessageID, startedAt: Instant, extraBytes: Int) {
        self.key = key
        self.id = id
        self.startedAt = startedAt
        self.extraBytes = extraBytes
    }

    /// Memory counted for a request in addition to its bytes, until it completes.
    static let baseBytes = 1024

    /// Bytes held for it. The record is there until the store has it, which is while a batch waits for the disk.
    var footprint: Int { Self.baseBytes + extraBytes + answer.capacity + (record?.capacity ?? 0) }

    /// Notes whether a text says something: white space alone doesn't.
    mutating func note(_ text: [UInt8]) { hasSaid = hasSaid || text.contains { $0 > 0x20 } }

    /// How long its response has taken, told with the last message of it.
    func latency(now: Instant) -> History.Latency {
        func microseconds(_ instant: Instant) -> UInt32 {
            UInt32(clamping: max(.zero, instant - (inputEndedAt ?? startedAt)).nanoseconds / 1000)
        }
        return History.Latency(first: microseconds(answeredAt ?? now), last: microseconds(now))
    }

    /// Converts its times to another clock.
    mutating func move(by difference: Instant.Duration) {
        startedAt += difference
        inputEndedAt = inputEndedAt.map { $0 + difference }
        answeredAt = answeredAt.map { $0 + difference }
    }
}
