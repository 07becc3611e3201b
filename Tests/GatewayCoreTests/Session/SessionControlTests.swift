// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionControlTests {
    @Test(
        arguments: [
            (#"{"type":"ping"}"#, #"{"type":"pong","server_ts":1700000000000}"#),
            (#"{"type":"ping","id":"p1"}"#, #"{"type":"pong","id":"p1","server_ts":1700000000000}"#),
            (#"{"type":"ping","ts":1.50e2}"#, #"{"type":"pong","ts":1.50e2,"server_ts":1700000000000}"#),
            (#"{"ts":-7,"id":"p","type":"ping"}"#, #"{"type":"pong","id":"p","ts":-7,"server_ts":1700000000000}"#),
        ])
    func `a pong repeats the id and timestamp of its ping`(ping: String, pong: String) {
        #expect(Conversation().send(ping).texts == [pong])
    }

    @Test(arguments: ["typing", "idle", "recording", "muted", "playing"])
    func `a state is forwarded, and acknowledged if it has an id`(state: String) {
        let conversation = Conversation()
        let silent = conversation.send(#"{"type":"status","state":"\#(state)"}"#)
        #expect(silent.replies.isEmpty && silent.commands.map(\.summary) == ["state \(state)"])
        let acknowledged = conversation.send(#"{"type":"status","id":"s1","state":"\#(state)","reply_to":"m1","played_ms":250}"#)
        #expect(acknowledged.texts == [#"{"type":"ack","id":"s1"}"#])
        #expect(acknowledged.commands.map(\.summary) == ["state \(state) of m1 at 250"])
    }

    @Test func `a status without a state requests a report`() throws {
        var policy = SessionPolicy()
        policy.text = Rate(units: 60, per: .seconds(60), burst: 15)
        policy.memoryBudget = 1 << 20
        policy.lifetime = 3_600_000_000_000
        let conversation = Conversation(policy)
        try conversation.begin("m1")
        try conversation.open("u1")
        _ = conversation.send(binary: [UInt8](repeating: 0, count: 48_000))
        _ = conversation.send("{")
        conversation.session.roundTripNanoseconds = 1_234_567
        let report = conversation.send(#"{"type":"status","id":"s1"}"#).replies[0]
        #expect(report["type"] as? String == "status" && report["id"] as? String == "s1")
        #expect(report["seq"] == nil)
        let session = try #require(report["session"] as? [String: Any])
        #expect(session["session_id"] as? String == Conversation.id.description)
        #expect(session["messages_in"] as? Int == 5)
        // Two acks, an error, and this report.
        #expect(session["messages_out"] as? Int == 4)
        #expect(session["errors"] as? Int == 1)
        #expect(session["audio_seconds"] as? Double == 1.5)
        #expect(session["rtt_ms"] as? Double == 1.234)
        #expect(session["connected_at"] as? Int == 1_700_000_000_000)
        #expect(session["expires_at"] as? Int == 1_700_003_600_000)
        let limits = try #require(report["limits"] as? [String: Any])
        #expect(limits["limits.text_per_minute"] as? Int == 14)
        #expect(limits.count == 1)
        #expect((report["upstream"] as? [String: Any])?["state"] as? String == "ready")
        let memory = try #require(report["memory"] as? [String: Int])
        #expect(memory["budget"] == 1 << 20)
        #expect(memory["upstream_queue"] == 48_005)
        let parts = memory.filter { $0.key != "total" && $0.key != "budget" }
        #expect(memory["total"] == parts.values.reduce(0, +))
        #expect(
            Set(parts.keys) == [
                "base", "receive_buffer", "assembler", "deflate", "socket_queue", "outbox", "history", "duplicate_ids", "upstream_queue",
                "upstream_answers", "requests", "grant",
            ])
    }

    @Test func `unmeasured values are null, and limits that are off are omitted`() {
        let report = Conversation().send(#"{"type":"status"}"#).texts[0]
        #expect(report.contains(#""rtt_ms":null"#) && report.contains(#""expires_at":null"#) && report.contains(#""limits":{}"#))
    }

    @Test func `the remaining units of every limit are reported by configuration key`() throws {
        var policy = SessionPolicy()
        let rate = Rate(units: 100, per: .seconds(1), burst: 50)
        policy.text = rate
        policy.audio = rate
        policy.chunks = rate
        policy.realtime = Rate(units: 1.5e6, per: .seconds(1), burst: 5e6)
        policy.control = rate
        policy.bytes = Rate(units: 1e6, per: .seconds(1), burst: 4e6)
        policy.rejections = rate
        policy.violations = rate
        let report = Conversation(policy).send(#"{"type":"status"}"#).replies[0]
        let limits = try #require(report["limits"] as? [String: Double])
        #expect(
            limits == [
                "limits.text_per_minute": 50, "limits.audio_per_minute": 50, "limits.audio_chunks_per_second": 50,
                "limits.audio_realtime_factor": 5, "limits.control_per_minute": 49, "limits.bytes_per_second": 3_999_983,
                "limits.refusals_per_minute": 50, "messages.max_violations": 50,
            ])
    }

    @Test func `cancelling stops the upstream and drops waiting messages`() throws {
        let conversation = Conversation()
        let first = try conversation.begin("m1")
        let other = try conversation.begin("m2")
        conversation.isSocketOpen = false
        for word in ["one ", "two "] { _ = conversation.receive(first, .text(Array(word.utf8), final: false)) }
        _ = conversation.receive(other, .text(Array("mine".utf8), final: true), isLast: true)
        conversation.isSocketOpen = true
        let outcome = conversation.send(#"{"type":"cancel","id":"m1","reason":"enough","played_ms":30}"#)
        #expect(outcome.replies.isEmpty)
        #expect(outcome.commands.map(\.summary) == ["cancel 1 at 30"])
        #expect(
            outcome.sequenced.map(\.text) == [
                #"{"type":"text","seq":3,"reply_to":"m2","text":"mine","final":true,"done":true}"#,
                #"{"type":"status","seq":4,"reply_to":"m1","state":"cancelled","done":true}"#,
            ])
        // Later events of the upstream are dropped, and the request can't be cancelled again.
        #expect(conversation.receive(first, .text(Array("three".utf8), final: true), isLast: true).isEmpty)
        #expect(conversation.send(#"{"type":"cancel","id":"m1"}"#).errors == ["not_found"])
    }

    @Test func `cancelling an unknown or completed request isn't a violation`() throws {
        var policy = SessionPolicy()
        policy.violations = Rate(units: 1, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        for _ in 0..<10 {
            let outcome = conversation.send(#"{"type":"cancel","id":"nobody"}"#)
            #expect(outcome.errors == ["not_found"] && outcome.closing == nil)
            #expect(outcome.error?["reply_to"] as? String == "nobody" && outcome.error?["param"] as? String == "/id")
        }
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .text([], final: true), isLast: true)
        #expect(conversation.send(#"{"type":"cancel","id":"m1"}"#).errors == ["not_found"])
    }

    @Test func `an ack removes messages from the outbox and gets no reply`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .text([0x61], final: false))
        _ = conversation.receive(key, .text([0x62], final: true), isLast: true)
        #expect(conversation.session.outbox.count == 2)
        #expect(conversation.send(#"{"type":"ack","seq":0}"#).isEmpty)
        #expect(conversation.session.outbox.count == 2)
        #expect(conversation.send(#"{"type":"ack","seq":1}"#).isEmpty)
        #expect(conversation.session.outbox.count == 1)
        #expect(conversation.send(#"{"type":"ack","seq":2}"#).isEmpty)
        #expect(conversation.session.outbox.count == 0)
        #expect(conversation.send(#"{"type":"ack","seq":99}"#).isEmpty)
    }

    @Test func `auth is rejected without authentication`() {
        let outcome = Conversation().send(#"{"type":"auth","token":"x.y.z"}"#)
        #expect(outcome.errors == ["unauthorized"])
        #expect(outcome.closing == nil)
    }

    @Test func `bye closes the connection and ends the session`() {
        let outcome = Conversation().send(#"{"type":"bye"}"#)
        #expect(outcome.closing?.code == .normal)
        #expect(outcome.endsSession && outcome.replies.isEmpty)
    }

    @Test func `goaway contains the reason and the deadline`() {
        let conversation = Conversation()
        let outcome = conversation.perform { session, _, effects in
            session.goAway(reason: "draining", deadlineMilliseconds: 30_000, effects: &effects)
        }
        #expect(outcome.texts == [#"{"type":"goaway","reason":"draining","deadline_ms":30000}"#])
        #expect(outcome.closing == nil)
    }
}
