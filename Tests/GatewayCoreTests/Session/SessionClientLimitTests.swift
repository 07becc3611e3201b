// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Limits that apply to all sessions of one client together (`limits.per_address_factor`).
@Suite struct SessionClientLimitTests {
    private static let client = ClientKey.address(high: 0, low: 1)

    private static func policy(factor: Double = 2, _ change: (inout SessionPolicy) -> Void = { _ in }) -> SessionPolicy {
        var policy = SessionPolicy()
        policy.clientFactor = factor
        policy.text = Rate(units: 60, per: .seconds(60), burst: 3)
        change(&policy)
        return policy
    }

    private func conversation(_ policy: SessionPolicy, _ limiters: ClientLimiters) -> Conversation {
        let conversation = Conversation(policy)
        conversation.session.assign(to: Self.client, limiters: limiters)
        return conversation
    }

    /// Sends up to `limit` messages until one is rejected, and returns how many were accepted.
    private func accepted(_ conversation: Conversation, limit: Int = 50, _ message: (Int) -> String) -> Int {
        for number in 0..<limit where !conversation.send(message(number)).errors.isEmpty { return number }
        return limit
    }

    private func text(_ number: Int) -> String { #"{"type":"text","id":"m\#(number)","text":"x"}"# }

    @Test(arguments: [(1, [3, 0, 0]), (2, [3, 3, 0]), (2.5, [3, 3, 1]), (10, [3, 3, 3]), (0, [3, 3, 3])] as [(Double, [Int])])
    func `sessions of one client share its limit`(factor: Double, accepting: [Int]) {
        let limiters = ClientLimiters()
        for expected in accepting { #expect(accepted(conversation(Self.policy(factor: factor), limiters), text) == expected) }
    }

    @Test func `a rejection by the client's limit names the limit and the time to wait, and isn't charged to the session`() {
        let limiters = ClientLimiters()
        let policy = Self.policy(factor: 1)
        #expect(accepted(conversation(policy, limiters), text) == 3)
        let second = conversation(policy, limiters)
        let rejected = second.send(text(0))
        #expect(rejected.errors == ["rate_limited"])
        #expect(
            rejected.error?["message"] as? String
                == "Text rate limit reached (`limits.text_per_minute`); retry after 1 s (limit per address: `limits.per_address_factor`)")
        #expect(rejected.error?["retry_after_ms"] as? Int == 1000 && rejected.error?["reply_to"] as? String == "m0")
        second.advance(milliseconds: 999)
        #expect(second.send(text(0)).errors == ["rate_limited"])
        second.advance(milliseconds: 1)
        #expect(second.send(text(0)).errors.isEmpty)
        second.advance(milliseconds: 60_000)
        #expect(accepted(second) { text($0 + 1) } == 3)
    }

    @Test func `control messages, bytes, chunks and streams are limited by client, too`() throws {
        let limiters = ClientLimiters()
        let policy = Self.policy(factor: 1) { policy in
            policy.control = Rate(units: 60, per: .seconds(60), burst: 4)
            policy.audio = Rate(units: 60, per: .seconds(60), burst: 2)
            policy.chunks = Rate(units: 10, per: .seconds(1), burst: 5)
            policy.bytes = Rate(units: 100, per: .seconds(1), burst: 5000)
        }
        let first = conversation(policy, limiters)
        #expect(accepted(first) { _ in #"{"type":"ping"}"# } == 4)
        try first.open("u1")
        for _ in 0..<5 { #expect(first.send(binary: [0, 0]).errors.isEmpty) }
        _ = first.send(#"{"type":"audio","id":"u1","final":true}"#)
        let second = conversation(policy, limiters)
        #expect(accepted(second) { _ in #"{"type":"ping"}"# } == 0)
        try second.open("u2")
        #expect(second.send(binary: [0, 0]).errors == ["rate_limited"])
        _ = second.send(#"{"type":"audio","id":"u2","final":true}"#)
        #expect(second.send(Conversation.opening("u3")).errors == ["rate_limited"])
        _ = second.send(#"{"type":"ack","seq":0,"x":"\#(String(repeating: "x", count: 4000))"}"#)
        let third = conversation(policy, limiters)
        #expect(third.send(#"{"type":"ack","seq":0,"x":"\#(String(repeating: "x", count: 2000))"}"#).errors == ["rate_limited"])
        #expect(!third.controlFrame(of: 4000).isAdmitted)
    }

    @Test func `the pace of audio is limited for all sessions of a client together`() throws {
        let limiters = ClientLimiters()
        let policy = Self.policy(factor: 1) { $0.realtime = Rate(units: 1e6, per: .seconds(1), burst: 1e6) }
        #expect(conversation(policy, limiters).send(Conversation.recording("u", bytes: 8000)).errors.isEmpty)
        #expect(conversation(policy, limiters).send(Conversation.recording("u", bytes: 8000)).errors == ["too_fast"])
    }

    @Test func `violations and rejections of earlier sessions count; the session that exceeds the limit is closed`() {
        let limiters = ClientLimiters()
        let policy = Self.policy(factor: 1) { policy in
            policy.violations = Rate(units: 2, per: .seconds(60), burst: 2)
            policy.rejections = Rate(units: 2, per: .seconds(60), burst: 2)
        }
        let first = conversation(policy, limiters)
        for _ in 0..<2 { #expect(first.send("{").closing == nil) }
        let second = conversation(policy, limiters)
        #expect(second.send(#"{"type":"ping"}"#).closing == nil)
        #expect(second.send("{").closing?.code == .tooManyViolations)
        let third = conversation(policy, limiters)
        _ = accepted(third, text)
        #expect(third.send(text(9)).closing == nil)
        #expect(conversation(policy, limiters).send(text(0)).closing?.code == .tooManyViolations)
    }

    @Test func `the status report includes what the client's limits leave`() throws {
        let limiters = ClientLimiters()
        let policy = Self.policy(factor: 2)
        #expect(accepted(conversation(policy, limiters), text) == 3)
        let second = conversation(policy, limiters)
        _ = second.send(text(0))
        let limits = try #require(second.status()["limits"] as? [String: Any])
        #expect(limits["limits.text_per_minute"] as? Int == 2)
        let third = conversation(policy, limiters)
        #expect((third.status()["limits"] as? [String: Any])?["limits.text_per_minute"] as? Int == 2)
    }

    @Test func `a session that moves to another client is subject to that client's limits`() {
        let (home, away) = (ClientLimiters(), ClientLimiters())
        let policy = Self.policy(factor: 1) { $0.text = Rate(units: 60, per: .seconds(60), burst: 6) }
        #expect(accepted(conversation(policy, home), text) == 6)
        let other = conversation(policy, away)
        #expect(other.send(text(0)).errors.isEmpty)
        other.session.assign(to: Self.client, limiters: home)
        #expect(other.send(text(1)).errors == ["rate_limited"])
        other.session.assign(to: .address(high: 1, low: 1), limiters: away)
        #expect(other.send(text(1)).errors.isEmpty)
    }
}
