// SPDX-License-Identifier: Apache-2.0

/// The sequenced messages of a session whose write to the socket completes a measurement.
struct DeliveryMarks: Sendable {
    /// The measured delay.
    enum Kind: Sendable { case firstText, firstAudio, cancellation }

    private struct Mark: Sendable {
        var kind = Kind.firstText
        var request = RequestKey(number: 0)
        /// The sequence number of the message.
        var sequence: UInt64 = 0
        /// The beginning of the delay.
        var since = Instant(nanoseconds: 0)
    }

    /// Maximum number of marks. Further delays aren't measured: the client hardly reads.
    static let capacity = 8

    /// The marks in the order of their messages. Inline, because most texts add and remove one.
    private var marks = InlineArray<8, Mark>(repeating: Mark())
    private var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func add(_ kind: Kind, of request: RequestKey, sequence: UInt64, since: Instant) {
        guard count < Self.capacity else { return }
        marks[count] = Mark(kind: kind, request: request, sequence: sequence, since: since)
        count += 1
    }

    /// Removes the marks of a cancelled request, whose waiting messages are dropped.
    mutating func remove(of request: RequestKey) { remove { $0.request == request } }

    /// Removes all marks of a detached session: the client's absence isn't a delay of the response.
    mutating func removeAll() { count = 0 }

    /// Records the delays of the messages before `sequence`, which is the first that waits for the socket.
    mutating func written(before sequence: UInt64, now: Instant, to metrics: inout VoiceMetrics) {
        remove { mark in
            guard mark.sequence < sequence else { return false }
            let delay = max(.zero, now - mark.since)
            switch mark.kind {
            case .firstText: metrics.firstText.record(delay)
            case .firstAudio: metrics.firstAudio.record(delay)
            case .cancellation: metrics.cancellation.record(delay)
            }
            return true
        }
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) {
        for index in 0..<count { marks[index].since += difference }
    }

    private mutating func remove(_ isRemoved: (Mark) -> Bool) {
        var kept = 0
        for index in 0..<count where !isRemoved(marks[index]) {
            if kept != index { marks[kept] = marks[index] }
            kept += 1
        }
        count = kept
    }
}

/// The most recent spoken responses whose playback the client hasn't reported yet.
struct UnreportedSpeech: Sendable {
    /// Maximum number of responses.
    static let capacity = 4

    private var responses: [(id: MessageID, nanoseconds: Int64)] = []

    /// - Parameter nanoseconds: the duration of the response's audio
    mutating func add(_ id: MessageID, lasting nanoseconds: Int64) {
        if responses.count == Self.capacity { responses.removeFirst() }
        responses.append((id, nanoseconds))
    }

    /// Removes a response and returns its duration in nanoseconds; nil if the playback was reported before.
    mutating func take(_ id: MessageID) -> Int64? {
        guard let index = responses.firstIndex(where: { $0.id == id }) else { return nil }
        return responses.remove(at: index).nanoseconds
    }
}
