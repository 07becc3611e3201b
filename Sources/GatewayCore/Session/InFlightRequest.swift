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

    init(key: RequestKey, id: MessageID, startedAt: Instant, extraBytes: Int) {
        self.key = key
        self.id = id
        self.startedAt = startedAt
        self.extraBytes = extraBytes
    }

    /// Bytes counted for a request in flight in addition to its content.
    static let baseBytes = 1024

    /// Bytes held for the request. The record exists until it is added to a batch, which may wait for the disk.
    var footprint: Int { Self.baseBytes + extraBytes + responseText.capacity + (record?.capacity ?? 0) }

    /// Sets ``hasOutput`` when the text contains more than white space.
    mutating func detectOutput(in text: [UInt8]) { hasOutput = hasOutput || text.contains { $0 > 0x20 } }

    /// Returns the latency of the response, whose last message is sent at `now`.
    func latency(now: Instant) -> History.Latency {
        func microseconds(_ instant: Instant) -> UInt32 {
            UInt32(clamping: max(.zero, instant - (inputEndedAt ?? startedAt)).nanoseconds / 1000)
        }
        return History.Latency(first: microseconds(responseBeganAt ?? now), last: microseconds(now))
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) {
        startedAt += difference
        inputEndedAt = inputEndedAt.map { $0 + difference }
        responseBeganAt = responseBeganAt.map { $0 + difference }
    }
}
