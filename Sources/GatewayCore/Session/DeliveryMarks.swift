// SPDX-License-Identifier: Apache-2.0

/// The sequenced messages of a session whose write to the socket completes a measurement.
struct DeliveryMarks: Sendable {
    /// The measured delay.
    enum Kind: Sendable { case firstText, firstAudio, cancellation }

    private struct Mark: Sendable {
        let kind: Kind
        let request: RequestKey
        /// The sequence number of the message.
        let sequence: UInt64
        /// The beginning of the delay.
        var since: Instant
    }

    /// Maximum number of marks. Further delays aren't measured: the client hardly reads.
    static let capacity = 8

    private var marks: [Mark] = []

    var isEmpty: Bool { marks.isEmpty }

    mutating func add(_ kind: Kind, of request: RequestKey, sequence: UInt64, since: Instant) {
        guard marks.count < Self.capacity else { return }
        marks.append(Mark(kind: kind, request: request, sequence: sequence, since: since))
    }

    /// Removes the marks of a cancelled request, whose waiting messages are dropped.
    mutating func remove(of request: RequestKey) { marks.removeAll { $0.request == request } }

    /// Removes all marks of a detached session: the client's absence isn't a delay of the response.
    mutating func removeAll() { marks.removeAll(keepingCapacity: true) }

    /// Records the delays of the messages before `sequence`, which is the first that waits for the socket.
    mutating func written(before sequence: UInt64, now: Instant, to metrics: inout VoiceMetrics) {
        for mark in marks where mark.sequence < sequence {
            let delay = max(.zero, now - mark.since)
            switch mark.kind {
            case .firstText: metrics.firstText.record(delay)
            case .firstAudio: metrics.firstAudio.record(delay)
            case .cancellation: metrics.cancellation.record(delay)
            }
        }
        marks.removeAll { $0.sequence < sequence }
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) {
        for index in marks.indices { marks[index].since += difference }
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
