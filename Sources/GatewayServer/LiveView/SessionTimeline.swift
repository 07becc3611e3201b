// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The response of `GET /v1/sessions/{id}/timeline`: the turns of a session with the times of their stages, and the session's events.
package struct SessionTimeline: Sendable, Hashable, Encodable {
    /// A turn. Stages are milliseconds from the start of the turn; a stage that wasn't reached is `null`.
    package struct Turn: Sendable, Hashable {
        package var requestID: String
        /// `text` or `audio`: the input.
        package var kind: String
        /// `open`, `completed`, `failed` or `cancelled`.
        package var outcome: String
        /// Unix milliseconds.
        package var startedAt: Int64
        package var offsets: GatewayCore.Turn.Offsets
        /// Milliseconds of audio sent by the client, in the response, and played of the response.
        package var audioIn: UInt32
        package var audioOut: UInt32
        package var audioPlayed: UInt32
        package var errors: [SessionDetails.Event]
        /// The resumes and losses of connections while the turn was in flight.
        package var interruptions: [SessionDetails.Event]
        /// The text or transcript of the client; nil if texts aren't included.
        package var input: String?
        package var response: String?
    }

    package var sessionID: String
    package var state: SessionSummary.State
    /// Unix milliseconds.
    package var startedAt: Int64
    /// Unix milliseconds at which the timeline was read; for an ended session, when the session ended.
    package var now: Int64
    /// Oldest first.
    package var turns: [Turn]
    /// Number of turns that were removed.
    package var turnsPruned: UInt64
    package var events: [SessionDetails.Event]
    package var eventsPruned: UInt64

    enum CodingKeys: String, CodingKey {
        case sessionID = "session_id"
        case state
        case startedAt = "started_at"
        case now, turns
        case turnsPruned = "turns_pruned"
        case events
        case eventsPruned = "events_pruned"
    }

    /// - Parameter now: Unix milliseconds
    package init(_ report: SessionReport, state: SessionSummary.State, now: Int64, withTexts: Bool) {
        sessionID = "\(report.id)"
        self.state = state
        startedAt = report.startedAt
        self.now = report.endedAt ?? now
        events = report.events.map(SessionDetails.Event.init)
        eventsPruned = report.eventsPruned
        turnsPruned = report.turnsPruned
        let texts = withTexts ? Texts(report.lines) : nil
        let breaks = events.filter { ["disconnected", "resumed", "taken_over", "restored", "moved"].contains($0.event) }
        let end = self.now
        // Turns end in another order than they start if several are in flight.
        turns = report.turns.sorted { ($0.startedAt, $0.request) < ($1.startedAt, $1.request) }.map { turn in
            Turn(turn, interruptions: breaks, until: end, texts: texts)
        }
    }

    /// The texts of a history by request.
    fileprivate struct Texts {
        private var inputs: [UInt64: String] = [:]
        private var responses: [UInt64: String] = [:]

        init(_ lines: [SessionReport.Line]) {
            for line in lines where line.tag.request != 0 {
                guard let bytes = line.text, !bytes.isEmpty else { continue }
                let text = String(decoding: bytes, as: UTF8.self)
                switch line.tag.speaker {
                case .client: inputs[line.tag.request] = inputs[line.tag.request].map { $0 + " " + text } ?? text
                case .upstream: responses[line.tag.request, default: ""] += text
                }
            }
        }

        func input(of request: UInt64) -> String? { inputs[request] }
        func response(of request: UInt64) -> String? { responses[request] }
    }
}

extension SessionTimeline.Turn {
    fileprivate init(
        _ turn: Turn, interruptions: [SessionDetails.Event], until end: Int64, texts: SessionTimeline.Texts?
    ) {
        requestID = "\(turn.id)"
        kind = turn.kind == .audio ? "audio" : "text"
        outcome =
            switch turn.outcome {
            case .open: "open"
            case .completed: "completed"
            case .failed: "failed"
            case .cancelled: "cancelled"
            }
        startedAt = turn.startedAt
        offsets = turn.offsets
        audioIn = turn.audioIn
        audioOut = turn.audioOut
        audioPlayed = turn.played
        errors = turn.failures.map {
            SessionDetails.Event(Timeline.Event(at: $0.at, what: .failed($0.code), id: $0.correlationID))
        }
        let last = Turn.Stage.allCases.compactMap { turn.offsets[$0] }.max()
        let until = turn.outcome == .open ? end : turn.startedAt + Int64(last ?? 0)
        let start = turn.startedAt
        self.interruptions = interruptions.filter { start <= $0.at && $0.at <= until }
        input = texts?.input(of: turn.request)
        response = texts?.response(of: turn.request)
    }
}

extension SessionTimeline.Turn: Encodable {
    private enum CodingKeys: String, CodingKey {
        case requestID = "request_id"
        case kind, outcome
        case startedAt = "started_at"
        case speechEnd = "speech_end"
        case transcript
        case firstToken = "first_token"
        case firstAudio = "first_audio"
        case done, delivered, played
        case audioIn = "audio_in_ms"
        case audioOut = "audio_out_ms"
        case audioPlayed = "played_ms"
        case errors, interruptions, input, response
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(requestID, forKey: .requestID)
        try container.encode(kind, forKey: .kind)
        try container.encode(outcome, forKey: .outcome)
        try container.encode(startedAt, forKey: .startedAt)
        // Every stage is present, so that a reader can tell a stage that wasn't reached from one that it misspelled.
        for (stage, key) in Self.stages { try container.encode(offsets[stage], forKey: key) }
        try container.encode(audioIn, forKey: .audioIn)
        try container.encode(audioOut, forKey: .audioOut)
        try container.encode(audioPlayed, forKey: .audioPlayed)
        try container.encode(errors, forKey: .errors)
        try container.encode(interruptions, forKey: .interruptions)
        try container.encodeIfPresent(input, forKey: .input)
        try container.encodeIfPresent(response, forKey: .response)
    }

    private static let stages: [(Turn.Stage, CodingKeys)] = [
        (.speechEnd, .speechEnd), (.transcript, .transcript), (.firstToken, .firstToken), (.firstAudio, .firstAudio), (.done, .done),
        (.delivered, .delivered), (.played, .played),
    ]
}
