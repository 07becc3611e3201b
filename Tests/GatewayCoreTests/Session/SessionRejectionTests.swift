// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Rejections by limits, violations of the protocol, and the close after too many of either.
@Suite struct SessionRejectionTests {
    private static let slow = Rate(units: 60, per: .seconds(60), burst: 2)

    private func text(_ id: Int) -> String { #"{"type":"text","id":"m\#(id)","text":"x"}"# }

    @Test func `texts over the limit are rejected with the time to wait, and accepted after it`() throws {
        var policy = SessionPolicy()
        policy.text = Self.slow
        let conversation = Conversation(policy)
        for id in 0..<2 { #expect(conversation.send(text(id)).commands.count == 1) }
        let rejected = conversation.send(text(2))
        #expect(rejected.errors == ["rate_limited"] && rejected.commands.isEmpty)
        let error = try #require(rejected.error)
        #expect(error["reply_to"] as? String == "m2")
        #expect(error["retryable"] as? Bool == true && error["fatal"] as? Bool == false)
        #expect(error["retry_after_ms"] as? Int == 1000)
        #expect(error["message"] as? String == "Text rate limit reached (`limits.text_per_minute`); retry after 1 s")
        conversation.advance(milliseconds: 999)
        #expect(conversation.send(text(2)).error?["retry_after_ms"] as? Int == 1)
        conversation.advance(milliseconds: 1)
        #expect(conversation.send(text(2)).commands.count == 1)
    }

    @Test(
        arguments: [(1, "0.001"), (30, "0.03"), (250, "0.25"), (999, "0.999"), (1000, "1"), (1001, "1.001"), (60_000, "60")]
            as [(Int64, String)])
    func `the message of a rejection has the same time as retry_after_ms`(milliseconds: Int64, seconds: String) {
        var policy = SessionPolicy()
        policy.text = Rate(units: 1, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        _ = conversation.send(text(0))
        conversation.advance(milliseconds: 60_000 - milliseconds)
        let rejected = conversation.send(text(1))
        #expect(rejected.error?["retry_after_ms"] as? Int64 == milliseconds)
        #expect((rejected.error?["message"] as? String)?.hasSuffix("; retry after \(seconds) s") == true)
        #expect(rejected.replies.first?["reply_to"] as? String == "m1")
    }

    @Test func `a compressed chunk that isn't inflated is rejected by its number`() throws {
        var policy = SessionPolicy()
        policy.bytes = Rate(units: 1000, per: .seconds(1), burst: 1000)
        let conversation = Conversation(policy)
        try conversation.open("u1")
        let rejected = conversation.perform { session, _, effects in session.rejectSkipped(isBinary: true, effects: &effects) }
        #expect(rejected.errors == ["rate_limited"])
        #expect(rejected.error?["reply_to"] as? String == "u1" && rejected.error?["chunk"] as? Int == 1)
        #expect(conversation.perform { session, _, effects in session.rejectSkipped(isBinary: true, effects: &effects) }.isEmpty)
        #expect(conversation.send(binary: [0, 0]).isEmpty)
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.sequenced.first?.error?["code"] as? String == "invalid_audio")
    }

    @Test func `repeated and rejected texts aren't charged to the limit`() {
        var policy = SessionPolicy()
        policy.text = Self.slow
        let conversation = Conversation(policy)
        _ = conversation.send(text(0))
        for _ in 0..<10 { #expect(conversation.send(text(0)).errors.isEmpty) }
        for _ in 0..<10 { #expect(conversation.send(#"{"type":"text","id":"m1","text":""}"#).errors == ["invalid_message"]) }
        #expect(conversation.send(text(1)).commands.count == 1)
        #expect(conversation.send(text(2)).errors == ["rate_limited"])
    }

    @Test func `control frames count as bytes, at least 64 each`() {
        var policy = SessionPolicy()
        policy.bytes = Rate(units: 1000, per: .seconds(1), burst: 64 * 3 + 125)
        policy.rejections = Rate(units: 60, per: .seconds(60), burst: 2)
        let conversation = Conversation(policy)
        for size in [0, 63, 64, 125] { #expect(conversation.controlFrame(of: size).isAdmitted) }
        let rejected = conversation.controlFrame(of: 0)
        #expect(!rejected.isAdmitted && rejected.outcome.errors.isEmpty, "libraries send control frames on their own: no error is sent")
        conversation.advance(milliseconds: 63)
        #expect(!conversation.controlFrame(of: 0).isAdmitted)
        conversation.advance(milliseconds: 1)
        #expect(conversation.controlFrame(of: 0).isAdmitted)
        // Too many rejections close the connection, as with messages.
        let last = conversation.controlFrame(of: 0)
        #expect(last.outcome.errors == ["too_many_violations"] && last.outcome.closing?.code == .tooManyViolations)
    }

    @Test func `bytes by which a message is larger compressed than inflated are charged`() {
        var policy = SessionPolicy()
        policy.bytes = Rate(units: 1000, per: .seconds(1), burst: 1000)
        policy.rejections = Rate(units: 60, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        #expect(conversation.perform { session, _, effects in session.chargeOverhead(of: 990, effects: &effects) }.closing == nil)
        #expect(conversation.send(#"{"type":"ack","seq":0}"#).errors == ["rate_limited"])
        let over = conversation.perform { session, _, effects in session.chargeOverhead(of: 11, effects: &effects) }
        #expect(over.closing?.code == .tooManyViolations)
    }

    @Test func `over the byte limit, a message is rejected without inflating it`() {
        var policy = SessionPolicy()
        policy.bytes = Rate(units: 1000, per: .seconds(1), burst: 1000)
        let conversation = Conversation(policy)
        func isOver() -> Bool {
            var isOver = false
            _ = conversation.perform { session, _, effects in isOver = session.isOverBytes(effects: effects) }
            return isOver
        }
        _ = conversation.perform { session, _, effects in session.chargeOverhead(of: 999, effects: &effects) }
        #expect(!isOver())
        _ = conversation.perform { session, _, effects in session.chargeOverhead(of: 1, effects: &effects) }
        #expect(isOver())
        let rejected = conversation.perform { session, _, effects in session.rejectSkipped(isBinary: false, effects: &effects) }
        #expect(rejected.error?["code"] as? String == "rate_limited" && rejected.error?["retry_after_ms"] as? Int == 64)
        conversation.advance(milliseconds: 1)
        #expect(!isOver())
        // A binary message without a stream is rejected for that reason.
        let stray = conversation.perform { session, _, effects in session.rejectSkipped(isBinary: true, effects: &effects) }
        #expect(stray.errors == ["invalid_audio"])
    }

    @Test func `ignored frames count as chunks, including empty ones`() {
        var policy = SessionPolicy()
        policy.chunks = Rate(units: 1, per: .seconds(60), burst: 3)
        policy.rejections = Rate(units: 60, per: .seconds(60), burst: 2)
        let conversation = Conversation(policy)
        let open = #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":1}}"#
        #expect(conversation.send(open).errors.isEmpty)
        #expect(conversation.send(#"{"type":"cancel","id":"u1"}"#).errors.isEmpty)
        for _ in 0..<5 {
            let ignored = conversation.send(binary: [])
            #expect(ignored.errors.isEmpty && ignored.closing == nil)
        }
        #expect(conversation.send(binary: []).closing?.code == .tooManyViolations)
    }

    @Test func `streams and recordings share one limit`() throws {
        var policy = SessionPolicy()
        policy.audio = Self.slow
        let conversation = Conversation(policy)
        try conversation.open("u1")
        _ = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(conversation.send(Conversation.recording("u2", bytes: 8)).errors.isEmpty)
        let rejected = conversation.send(Conversation.opening("u3"))
        #expect(rejected.errors == ["rate_limited"])
        #expect(rejected.error?["reply_to"] as? String == "u3")
        #expect(conversation.send(binary: [0, 0]).isEmpty)
        #expect(conversation.send(Conversation.recording("u4", bytes: 8)).errors == ["rate_limited"])
        conversation.advance(milliseconds: 1000)
        #expect(conversation.send(Conversation.opening("u3")).commands.count == 1)
    }

    @Test func `chunks over the limit are rejected by number and can be sent again`() throws {
        var policy = SessionPolicy()
        policy.chunks = Rate(units: 10, per: .seconds(1), burst: 3)
        let conversation = Conversation(policy)
        try conversation.open("u1")
        for _ in 0..<3 { #expect(conversation.send(binary: [0, 0]).commands.count == 1) }
        let rejected = conversation.send(binary: [0, 0])
        #expect(rejected.errors == ["rate_limited"])
        #expect(rejected.error?["chunk"] as? Int == 4 && rejected.error?["retry_after_ms"] as? Int == 100)
        conversation.advance(milliseconds: 100)
        _ = conversation.send(#"{"type":"audio","id":"u1","from":4}"#)
        #expect(conversation.send(binary: [0, 0]).commands.count == 1)
    }

    @Test func `audio faster than real time is rejected as too_fast`() throws {
        var policy = SessionPolicy()
        policy.realtime = Rate(units: 1.5e6, per: .seconds(1), burst: 5e6)
        let conversation = Conversation(policy)
        try conversation.open("u1", codec: "mulaw", rate: 8000)
        for _ in 0..<5 { #expect(conversation.send(binary: [UInt8](repeating: 0, count: 8000)).commands.count == 1) }
        let rejected = conversation.send(binary: [UInt8](repeating: 0, count: 8000))
        #expect(rejected.errors == ["too_fast"])
        #expect(rejected.error?["chunk"] as? Int == 6 && rejected.error?["retry_after_ms"] as? Int == 667)
        // One and a half seconds of audio per second.
        for chunk in 6...20 {
            conversation.advance(milliseconds: 667)
            _ = conversation.send(#"{"type":"audio","id":"u1","from":\#(chunk)}"#)
            #expect(conversation.send(binary: [UInt8](repeating: 0, count: 8000)).commands.count == 1)
        }
        #expect(conversation.send(binary: [UInt8](repeating: 0, count: 800)).errors == ["too_fast"])
    }

    @Test func `a whole recording is accepted at once, but not two of them`() {
        var policy = SessionPolicy()
        policy.realtime = Rate(units: 1.5e6, per: .seconds(1), burst: 5e6)
        let conversation = Conversation(policy)
        // 30 s, with a burst of 5 s.
        #expect(conversation.send(Conversation.recording("u1", bytes: 240_000)).errors.isEmpty)
        let second = conversation.send(Conversation.recording("u2", bytes: 240_000))
        #expect(second.errors == ["too_fast"] && second.error?["retry_after_ms"] as? Int == 20_000)
        conversation.advance(milliseconds: 20_000)
        #expect(conversation.send(Conversation.recording("u2", bytes: 240_000)).errors.isEmpty)
    }

    @Test func `control messages share one limit`() {
        var policy = SessionPolicy()
        policy.control = Rate(units: 60, per: .seconds(60), burst: 4)
        let conversation = Conversation(policy)
        let messages = [
            #"{"type":"ping"}"#, #"{"type":"status"}"#, #"{"type":"cancel","id":"x"}"#, #"{"type":"auth","token":"x"}"#,
        ]
        for message in messages { #expect(!conversation.send(message).errors.contains("rate_limited")) }
        for message in messages { #expect(conversation.send(message).errors == ["rate_limited"]) }
        // Neither texts nor acks are control messages, and played_ms is coalesced.
        #expect(conversation.send(text(1)).errors.isEmpty)
        #expect(conversation.send(#"{"type":"ack","seq":0}"#).isEmpty)
        #expect(conversation.send(#"{"type":"status","state":"playing","played_ms":10}"#).isEmpty)
        #expect(
            conversation.send(#"{"type":"status","id":"s1","state":"playing","played_ms":10}"#).texts == [#"{"type":"ack","id":"s1"}"#])
        #expect(conversation.send(#"{"type":"status","state":"typing"}"#).errors == ["rate_limited"])
        conversation.advance(milliseconds: 1000)
        #expect(conversation.send(#"{"type":"status","state":"playing","played_ms":20}"#).commands.count == 1)
    }

    @Test func `every byte counts, acks included`() {
        var policy = SessionPolicy()
        let ack = #"{"type":"ack","seq":0}"#
        policy.bytes = Rate(units: 1000, per: .seconds(1), burst: Double(2 * ack.utf8.count))
        let conversation = Conversation(policy)
        for _ in 0..<2 { #expect(conversation.send(ack).isEmpty) }
        #expect(conversation.send(ack).errors == ["rate_limited"])
        conversation.advance(milliseconds: Int64(ack.utf8.count))
        #expect(conversation.send(ack).isEmpty)
    }

    @Test func `a rejection by the byte limit names the message, and frames after a rejected opening are ignored`() {
        var policy = SessionPolicy()
        policy.bytes = Rate(units: 1, per: .seconds(60), burst: 1)
        policy.violations = Rate(units: 1, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        _ = conversation.send(text(1))
        #expect(conversation.send(text(2)).error?["reply_to"] as? String == "m2")
        #expect(conversation.send(Conversation.opening("u1")).error?["reply_to"] as? String == "u1")
        for _ in 0..<10 { #expect(conversation.send(binary: [0, 0]).isEmpty) }
        #expect(conversation.send(#"{"type":"cancel","id":"x"}"#).error?["reply_to"] as? String == "x")
    }

    @Test func `chunks over the byte limit are rejected by number`() throws {
        var policy = SessionPolicy()
        let conversation = Conversation(policy)
        try conversation.open("u1")
        policy.bytes = Rate(units: 1000, per: .seconds(1), burst: 1000)
        conversation.session.sharedPolicy = SharedPolicy(policy)
        #expect(conversation.send(binary: [UInt8](repeating: 0, count: 1000)).commands.count == 1)
        let rejected = conversation.send(binary: [0, 0])
        #expect(rejected.errors == ["rate_limited"] && rejected.error?["chunk"] as? Int == 2)
        #expect(rejected.error?["retry_after_ms"] as? Int == 2)
    }

    @Test func `the global limit applies to every session`() throws {
        var policy = SessionPolicy()
        policy.global = Rate(units: 1, per: .seconds(1), burst: 3)
        policy.violations = Rate(units: 1, per: .seconds(60), burst: 1)
        let global = SharedLimiter()
        let one = Conversation(policy, global: global)
        let other = Conversation(policy, global: global)
        try one.open("u1")
        #expect(one.send(binary: [0, 0]).errors.isEmpty)
        #expect(other.send(text(1)).errors.isEmpty)
        #expect(other.send(text(2)).errors == ["rate_limited"])
        #expect(one.send(binary: [0, 0]).error?["chunk"] as? Int == 2)
        #expect(other.send(#"{"type":"ack","seq":0}"#).isEmpty)
        #expect(other.send(Conversation.opening("u1")).error?["reply_to"] as? String == "u1")
        for _ in 0..<10 { #expect(other.send(binary: [0, 0]).isEmpty) }
        other.advance(milliseconds: 1000)
        #expect(other.send(text(2)).errors.isEmpty)
    }

    @Test(arguments: [1, 5, 20])
    func `one violation more than the limit closes the connection`(count: Int) {
        var policy = SessionPolicy()
        policy.violations = Rate(units: Double(count), per: .seconds(60), burst: Double(count))
        let conversation = Conversation(policy)
        let bad = ["{", "7", #"{"type":"x"}"#, #"{"type":"text"}"#, "[]"]
        for index in 0..<count {
            let outcome = conversation.send(bad[index % bad.count])
            #expect(outcome.errors.count == 1 && outcome.closing == nil)
        }
        let last = conversation.send("{")
        #expect(last.errors == ["invalid_json", "too_many_violations"])
        #expect(last.closing?.code == .tooManyViolations && last.endsSession)
        #expect(last.closing?.reason.hasPrefix("too_many_violations ") == true)
        #expect(last.replies.last?.error?["fatal"] as? Bool == true)
    }

    @Test func `violations expire with time`() {
        var policy = SessionPolicy()
        policy.violations = Rate(units: 20, per: .seconds(60), burst: 20)
        let conversation = Conversation(policy)
        for _ in 0..<20 { _ = conversation.send("{") }
        conversation.advance(milliseconds: 2999)
        #expect(conversation.send("{").closing != nil)
        conversation.advance(milliseconds: 1)
        #expect(conversation.send("{").closing == nil)
    }

    @Test(arguments: [1, 7, 240])
    func `one rejection more than the limit closes the connection`(count: Int) {
        var policy = SessionPolicy()
        policy.text = Rate(units: 1, per: .seconds(3600), burst: 1)
        policy.rejections = Rate(units: Double(count), per: .seconds(60), burst: Double(count))
        policy.violations = Rate(units: 1, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        _ = conversation.send(text(0))
        for id in 1...count {
            let outcome = conversation.send(text(id))
            #expect(outcome.errors == ["rate_limited"] && outcome.closing == nil)
        }
        let last = conversation.send(text(count + 1))
        #expect(last.errors == ["rate_limited", "too_many_violations"])
        #expect(last.closing?.code == .tooManyViolations)
    }

    @Test func `details are sent only in development mode`() {
        #expect(Conversation(showsDetails: true).send("[1}").error?["details"] as? String == "at byte 0")
        #expect(Conversation().send("[1}").error?["details"] == nil)
    }

    @Test func `every rejection is logged with the same correlation id`() {
        let outcome = Conversation().send("{")
        #expect(outcome.incidents.map(\.code) == [.invalidJSON])
        #expect(outcome.incidents.map(\.correlationID.description) == [outcome.error?["correlation_id"] as? String])
    }
}
