// SPDX-License-Identifier: Apache-2.0

/// A turn of the conversation: one accepted request and its response, with the times of its stages.
package struct Turn: Sendable, Hashable {
    package enum Kind: UInt8, Sendable, CaseIterable { case text, audio }

    package enum Outcome: UInt8, Sendable, CaseIterable {
        /// The request is in flight.
        case open
        case completed, failed, cancelled
    }

    /// A point of a turn that a waterfall shows, in the usual order.
    package enum Stage: Int, Sendable, CaseIterable {
        /// The client's audio ended.
        case speechEnd
        /// The last final transcript was received from the upstream.
        case transcript
        /// The first text of the response was received from the upstream.
        case firstToken
        /// The first audio of the response was received from the upstream.
        case firstAudio
        /// The last message of the response was queued for the client.
        case done
        /// The client acknowledged the last message of the response.
        case delivered
        /// The client reported that the response's audio was played to its end.
        case played
    }

    /// The times of the stages in milliseconds from the start of the turn. Each takes four bytes; the maximum is 49 days.
    package struct Offsets: Sendable, Hashable {
        private static let none = UInt32.max
        private var values = InlineArray<7, UInt32>(repeating: none)

        package init() {}

        package subscript(stage: Stage) -> UInt32? {
            get { values[stage.rawValue] == Self.none ? nil : values[stage.rawValue] }
            set { values[stage.rawValue] = newValue ?? Self.none }
        }

        package static func == (left: Self, right: Self) -> Bool { Stage.allCases.allSatisfy { left[$0] == right[$0] } }

        package func hash(into hasher: inout Hasher) { for stage in Stage.allCases { hasher.combine(self[stage]) } }
    }

    /// An error about the turn's request that was sent to the client.
    package struct Failure: Sendable, Hashable {
        /// Unix milliseconds.
        package var at: Int64
        package var code: ErrorCode
        package var correlationID: ULID

        package init(at: Int64, code: ErrorCode, correlationID: ULID) {
            self.at = at
            self.code = code
            self.correlationID = correlationID
        }
    }

    /// The maximum number of failures that a turn keeps, the first ones.
    package static let maximumFailures = 4
    /// The client rounds its progress and plays whole blocks: the end of the audio is reached this many milliseconds before it.
    package static let playedTolerance: UInt32 = 20

    package var id: MessageID
    /// ``RequestKey/number``, as in the tags of the history.
    package var request: UInt64
    package var kind: Kind
    package var outcome = Outcome.open
    /// When the request was accepted, in Unix milliseconds.
    package var startedAt: Int64
    package var offsets = Offsets()
    /// Milliseconds of audio that the client sent.
    package var audioIn: UInt32 = 0
    /// Milliseconds of audio in the response.
    package var audioOut: UInt32 = 0
    /// Milliseconds of ``audioOut`` that were played, as last reported by the client.
    package var played: UInt32 = 0
    package var failures: [Failure] = []

    package init(id: MessageID, request: UInt64, kind: Kind, startedAt: Int64) {
        self.id = id
        self.request = request
        self.kind = kind
        self.startedAt = startedAt
    }

    /// Whether the whole audio of the response was played.
    package var isPlayed: Bool { audioOut > 0 && played.addingReportingOverflow(Self.playedTolerance).partialValue >= audioOut }

    /// Updates the playback progress, which never decreases, and marks the end of playback.
    mutating func update(played milliseconds: Int64, offset: UInt32) {
        played = max(played, UInt32(clamping: min(milliseconds, Int64(UInt32.max / 2))))
        if isPlayed, offsets[.played] == nil { offsets[.played] = offset }
    }

    /// Returns the milliseconds between two times, without the value that stands for none.
    static func offset(from start: Instant, to now: Instant) -> UInt32 {
        UInt32(clamping: min(max(.zero, now - start).milliseconds, Int64(UInt32.max - 1)))
    }
}

extension Turn {
    func append(to record: inout [UInt8]) {
        record.append(counted: id)
        record.append(fixed: request)
        record.append(kind.rawValue)
        record.append(outcome.rawValue)
        record.append(fixed: startedAt)
        for stage in Stage.allCases { record.append(fixed: offsets[stage] ?? UInt32.max) }
        record.append(fixed: audioIn)
        record.append(fixed: audioOut)
        record.append(fixed: played)
        record.append(UInt8(truncatingIfNeeded: failures.count))
        for failure in failures {
            record.append(fixed: failure.at)
            record.append(counted: Array(failure.code.rawValue.utf8))
            record.append(fixed: failure.correlationID.high)
            record.append(fixed: failure.correlationID.low)
        }
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        let id = try reader.id()
        let request: UInt64 = try reader.fixed()
        guard let kind = Kind(rawValue: try reader.fixed()), let outcome = Outcome(rawValue: try reader.fixed()) else {
            throw RecordError()
        }
        self.init(id: id, request: request, kind: kind, startedAt: try reader.time())
        self.outcome = outcome
        for stage in Stage.allCases {
            let offset: UInt32 = try reader.fixed()
            offsets[stage] = offset == .max ? nil : offset
        }
        audioIn = try reader.fixed()
        audioOut = try reader.fixed()
        played = try reader.fixed()
        let count = Int(try reader.fixed(UInt8.self))
        guard count <= Self.maximumFailures else { throw RecordError() }
        for _ in 0..<count {
            let at = try reader.time()
            guard let code = ErrorCode(rawValue: String(decoding: try reader.counted(), as: UTF8.self)) else { throw RecordError() }
            failures.append(Failure(at: at, code: code, correlationID: ULID(high: try reader.fixed(), low: try reader.fixed())))
        }
    }
}
