// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionTurnTests {
    private func offsets(_ turn: Turn) -> [Turn.Stage: UInt32] {
        var found: [Turn.Stage: UInt32] = [:]
        for stage in Turn.Stage.allCases { found[stage] = turn.offsets[stage] }
        return found
    }

    private func transcript(_ text: String, final: Bool) -> UpstreamEvent.Content {
        .transcript(Array(text.utf8), final: final, confidence: nil, startMilliseconds: nil, endMilliseconds: nil)
    }

    /// One spoken turn with a different time for every stage.
    private func spokenTurn(_ conversation: Conversation) throws {
        let format = AudioFormat(codec: .pcm16, rate: 8000, channels: 1)
        let key = try conversation.open("u1")
        _ = conversation.send(binary: [UInt8](repeating: 0, count: 3200))
        conversation.advance(milliseconds: 100)
        _ = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        conversation.advance(milliseconds: 20)
        _ = conversation.receive(key, transcript("hel", final: false))
        conversation.advance(milliseconds: 30)
        _ = conversation.receive(key, transcript("hello", final: true))
        conversation.advance(milliseconds: 5)
        // Neither an empty delta nor a status is the first token.
        _ = conversation.receive(key, .status("thinking", progress: nil))
        _ = conversation.receive(key, .text([], final: false))
        conversation.advance(milliseconds: 45)
        _ = conversation.receive(key, .text(Array("Good".utf8), final: false))
        conversation.advance(milliseconds: 10)
        _ = conversation.receive(key, .audio(format))
        conversation.advance(milliseconds: 10)
        _ = conversation.receive(key, .audioChunk([UInt8](repeating: 1, count: 16_000)))
        conversation.advance(milliseconds: 5)
        _ = conversation.receive(key, .text(Array(" day".utf8), final: true))
        _ = conversation.receive(key, .audioEnd(format), isLast: true)
    }

    @Test func `a spoken turn has the offset of each stage`() throws {
        let conversation = Conversation()
        try spokenTurn(conversation)
        conversation.advance(milliseconds: 15)
        _ = conversation.send(#"{"type":"ack","seq":\#(conversation.session.outbox.lastSequence)}"#)
        conversation.advance(milliseconds: 500)
        _ = conversation.send(#"{"type":"status","state":"playing","reply_to":"u1","played_ms":500}"#)
        #expect(conversation.session.turns[0].offsets[.played] == nil && conversation.session.turns[0].played == 500)
        conversation.advance(milliseconds: 500)
        _ = conversation.send(#"{"type":"status","state":"idle","reply_to":"u1","played_ms":1000}"#)
        let turn = try #require(conversation.session.turns.first)
        #expect(
            offsets(turn) == [
                .speechEnd: 100, .transcript: 150, .firstToken: 200, .firstAudio: 220, .done: 225, .delivered: 240, .played: 1240,
            ])
        #expect(turn.kind == .audio && turn.outcome == .completed && "\(turn.id)" == "u1" && turn.startedAt == 1_700_000_000_000)
        #expect(turn.audioIn == 100 && turn.audioOut == 1000 && turn.played == 1000 && turn.failures.isEmpty)
        #expect(conversation.session.turns.count == 1)
    }

    @Test func `a turn in flight has the stages that it has reached`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1")
        conversation.advance(milliseconds: 100)
        _ = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(conversation.session.turns.map(offsets) == [[.speechEnd: 100]])
        #expect(conversation.session.turns[0].outcome == .open)
        conversation.advance(milliseconds: 100)
        _ = conversation.receive(key, transcript("one", final: true))
        conversation.advance(milliseconds: 100)
        // The last of several final transcripts completes the stage.
        _ = conversation.receive(key, transcript("two", final: true))
        #expect(conversation.session.turns.map(offsets) == [[.speechEnd: 100, .transcript: 300]])
    }

    @Test func `playback reported before the end of the response counts once the response is complete`() throws {
        let conversation = Conversation()
        let format = AudioFormat(codec: .pcm16, rate: 8000, channels: 1)
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .audio(format))
        _ = conversation.receive(key, .audioChunk([UInt8](repeating: 1, count: 1600)))
        conversation.advance(milliseconds: 100)
        _ = conversation.send(#"{"type":"status","state":"playing","reply_to":"m1","played_ms":100}"#)
        #expect(conversation.session.turns[0].offsets[.played] == nil)
        conversation.advance(milliseconds: 50)
        _ = conversation.receive(key, .audioEnd(format), isLast: true)
        #expect(offsets(conversation.session.turns[0]) == [.firstAudio: 0, .played: 100, .done: 150])
    }

    @Test func `playback progress that a limit holds back is recorded at once`() throws {
        var policy = SessionPolicy()
        policy.control = Rate(units: 1, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        try spokenTurn(conversation)
        for progress in [1, 2, 1000] {
            _ = conversation.send(#"{"type":"status","state":"playing","reply_to":"u1","played_ms":\#(progress)}"#)
        }
        #expect(conversation.session.turns[0].isPlayed && conversation.session.turns[0].offsets[.played] != nil)
    }

    @Test func `a cancelled turn ends with the playback that the client reported, and is delivered with its status`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .audio(AudioFormat(codec: .pcm16, rate: 8000, channels: 1)))
        _ = conversation.receive(key, .audioChunk([UInt8](repeating: 1, count: 16_000)))
        conversation.advance(milliseconds: 30)
        _ = conversation.send(#"{"type":"cancel","id":"m1","played_ms":20}"#)
        let last = conversation.session.outbox.lastSequence
        _ = conversation.send(#"{"type":"ack","seq":\#(last - 1)}"#)
        #expect(conversation.session.turns[0].offsets[.delivered] == nil)
        _ = conversation.send(#"{"type":"ack","seq":\#(last)}"#)
        let turn = conversation.session.turns[0]
        #expect(turn.outcome == .cancelled && turn.played == 20 && offsets(turn) == [.firstAudio: 0, .done: 30, .delivered: 30])
    }

    @Test func `a failed turn has its error, and the errors of rejected chunks before`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1", codec: "opus", rate: 48_000)
        // No Opus packet (RFC 6716 §3.2.5): code 3 requires a second byte.
        _ = conversation.send(binary: [3])
        var ids = conversation.session.timeline.events.compactMap(\.id)
        conversation.advance(milliseconds: 10)
        let failed = conversation.receive(key, .failure(.responseTimeout, retryAfterMilliseconds: nil), isLast: true)
        ids += failed.incidents.map(\.correlationID)
        let turn = try #require(conversation.session.turns.first)
        #expect(turn.outcome == .failed && turn.offsets[.done] == 10)
        #expect(turn.failures.map(\.correlationID) == ids && turn.failures.map(\.code) == [.invalidAudio, .upstreamTimeout])
        #expect(turn.failures.map(\.at) == [1_700_000_000_000, 1_700_000_000_010])
    }

    @Test func `a turn keeps its first errors only`() throws {
        var policy = SessionPolicy()
        policy.violations = Rate(units: 100, per: .seconds(60), burst: 100)
        let conversation = Conversation(policy)
        try conversation.open("u1")
        for number in 1...(Turn.maximumFailures + 1) {
            _ = conversation.send(binary: [0])
            _ = conversation.send(#"{"type":"audio","id":"u1","from":1}"#)
            #expect(conversation.session.turns[0].failures.count == min(number, Turn.maximumFailures))
        }
    }

    @Test func `turns count toward the memory usage, and are dropped with the history`() throws {
        let conversation = Conversation()
        try spokenTurn(conversation)
        conversation.session.updateMemoryUsage()
        let (turns, texts) = (conversation.session.turnLog.footprint, conversation.session.history.footprint)
        #expect(turns > 0 && conversation.session.memoryUsage.history == turns + texts)
        conversation.session.dropHistory()
        #expect(conversation.session.memoryUsage.history == 0 && conversation.session.turns.isEmpty)
    }

    @Test func `a session without a history keeps no turns that have ended`() throws {
        for (messages, bytes) in [(0, Int.max), (Int.max, 0)] {
            var policy = SessionPolicy()
            (policy.historyMessages, policy.historyBytes) = (messages, bytes)
            let conversation = Conversation(policy)
            try spokenTurn(conversation)
            #expect(conversation.session.turns.isEmpty)
            try conversation.begin("m2")
            #expect(conversation.session.turns.map { "\($0.id)" } == ["m2"])
        }
    }

    @Test func `a resume acknowledges turns, and a move to another clock keeps their offsets`() throws {
        let conversation = Conversation()
        try spokenTurn(conversation)
        conversation.detach()
        conversation.session.move(toClockAheadBy: 1_000_000_000)
        conversation.now = conversation.now.advanced(byNanoseconds: 1_000_000_000)
        conversation.advance(milliseconds: 75)
        _ = conversation.resume(after: conversation.session.outbox.lastSequence)
        #expect(conversation.session.turns[0].offsets[.delivered] == 300)
    }

    @Test func `a report has the turns, also in its stored form`() throws {
        let conversation = Conversation()
        try spokenTurn(conversation)
        let key = try conversation.begin("m2")
        _ = conversation.receive(key, .failure(.responseTimeout, retryAfterMilliseconds: nil), isLast: true)
        try conversation.begin("m3")
        let report = conversation.report(.metadata)
        #expect(report.turns.map { "\($0.id) \($0.outcome)" } == ["u1 completed", "m2 failed", "m3 open"])
        #expect(conversation.report(.head).turns.isEmpty)
        let stored = try SessionReport(head: report.head(), body: report.body())
        #expect(stored.turns == report.turns && stored.turnsPruned == 0)
        // Every truncated body is an error, not a crash.
        let body = report.body()
        for count in 0..<body.count {
            #expect(throws: RecordError.self) { try SessionReport(head: report.head(), body: Array(body.prefix(count))) }
        }
    }

    @Test func `a report of an earlier version has no turns`() throws {
        let conversation = Conversation()
        let report = conversation.report(.metadata)
        var head = report.head()
        head[0] = 2
        // Its body ends with the events.
        let body = Array(report.body().dropLast(4 + 8))
        #expect(try SessionReport(head: head, body: body).turns.isEmpty)
    }
}
