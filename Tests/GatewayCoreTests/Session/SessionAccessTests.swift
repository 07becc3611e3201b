// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Grants of a session") struct SessionAccessTests {
    private static let start: Int64 = 1_700_000_000_000

    /// A conversation whose client has a token that expires after a time.
    private func conversation(
        expiresIn milliseconds: Int64 = 3_600_000, _ claims: ParleyClaims = ParleyClaims(),
        _ change: (inout SessionPolicy) -> Void = { _ in }
    ) -> Conversation {
        var policy = SessionPolicy()
        policy.tokenLeeway = 30_000
        policy.claimsFactor = 10
        change(&policy)
        let conversation = Conversation(policy)
        conversation.session.authorize(grant(expiresIn: milliseconds, claims: claims), wall: Self.start)
        return conversation
    }

    private func grant(_ user: String = "u1", expiresIn milliseconds: Int64 = 3_600_000, claims: ParleyClaims = ParleyClaims()) -> Grant {
        Grant(user: user, expiresAt: Self.start + milliseconds, parley: claims)
    }

    private func renew(_ conversation: Conversation, with grant: Grant) -> Conversation.Outcome {
        conversation.perform { session, _, effects in _ = session.renew(with: grant, effects: &effects) }
    }

    // MARK: Expiry

    @Test(
        "a token's expiry is announced 60 s before exp, or at half of what is left, and closes with 4501 at exp and leeway",
        arguments: [(3_600_000, 60_000), (120_000, 60_000), (119_000, 59_500), (10_000, 5000)] as [(Int64, Int64)])
    func expiry(lifetime: Int64, notice: Int64) {
        let conversation = conversation(expiresIn: lifetime)
        conversation.advance(milliseconds: lifetime - notice - 1)
        #expect(conversation.tick().isEmpty)
        conversation.advance(milliseconds: 1)
        #expect(conversation.tick().texts == [#"{"type":"goaway","reason":"token_expiring","deadline_ms":\#(notice)}"#])
        #expect(conversation.tick().isEmpty)
        conversation.advance(milliseconds: notice + 29_999)
        #expect(conversation.tick().isEmpty)
        conversation.advance(milliseconds: 1)
        let end = conversation.tick()
        #expect(end.errors == ["token_expired"])
        #expect(end.error?["fatal"] as? Bool == true)
        #expect(end.closing?.code == .tokenExpired)
        // A fresh token can resume the session.
        #expect(!end.endsSession)
    }

    @Test func `a client certificate doesn't expire`() {
        let conversation = Conversation()
        conversation.session.authorize(Grant(user: "u1", expiresAt: .max), wall: Self.start)
        conversation.advance(milliseconds: 365 * 86_400_000)
        #expect(conversation.tick().isEmpty)
        #expect(conversation.send(#"{"type":"auth","token":"x"}"#).errors == ["unauthorized"])
    }

    // MARK: Renewal

    @Test func `a renewal moves the expiry, and is announced again`() {
        let conversation = conversation(expiresIn: 100_000)
        conversation.advance(milliseconds: 50_000)
        #expect(conversation.tick().replies.count == 1)
        let renewed = renew(conversation, with: grant(expiresIn: 400_000))
        #expect(renewed.texts == [#"{"type":"auth","expires_at":\#(Self.start + 400_000)}"#])
        #expect(renewed.replies.allSatisfy { !$0.mayCompress })
        conversation.advance(milliseconds: 289_999)
        #expect(conversation.tick().isEmpty)
        conversation.advance(milliseconds: 1)
        #expect(conversation.tick().replies.first?["reason"] as? String == "token_expiring")
    }

    @Test func `the same token again is answered like the first time`() {
        let conversation = conversation()
        let first = renew(conversation, with: grant())
        #expect(renew(conversation, with: grant()).texts == first.texts)
    }

    @Test func `a token of another user or with an earlier expiry changes nothing`() {
        let conversation = conversation()
        #expect(renew(conversation, with: grant("u2", expiresIn: 9_000_000)).errors == ["unauthorized"])
        #expect(renew(conversation, with: grant(expiresIn: 3_599_999)).errors == ["unauthorized"])
        #expect(conversation.session.user == "u1")
        #expect(conversation.session.access.grant == grant())
    }

    @Test func `auth requests the verification of its token, and a rejected one is an error`() {
        let conversation = conversation()
        var requested: [UInt8]?
        let sent = conversation.perform { session, scanner, effects in
            Array(#"{"type":"auth","token":"a.b.c"}"#.utf8).withRawSpan { session.receive(text: $0, scanner: &scanner, effects: &effects) }
            requested = effects.renewal
        }
        #expect(sent.isEmpty)
        #expect(requested == Array("a.b.c".utf8))
        let rejected = conversation.perform { session, _, effects in session.rejectRenewal(.expired, effects: &effects) }
        #expect(rejected.errors == ["token_expired"])
        #expect(rejected.closing == nil)
        let delayed = conversation.perform { session, _, effects in session.rejectRenewal(for: .seconds(2), effects: &effects) }
        #expect(delayed.error?["retry_after_ms"] as? Int == 2000)
    }

    @Test func `without authentication there is no token to renew`() {
        #expect(Conversation().send(#"{"type":"auth","token":"a.b.c"}"#).errors == ["unauthorized"])
    }

    // MARK: Claims

    @Test func `types that the claims don't allow are forbidden, without a violation`() {
        var claims = ParleyClaims()
        claims.types = [.text]
        let conversation = conversation(claims) { $0.violations = Rate(units: 1, per: .seconds(60), burst: 1) }
        let opening = #"{"type":"audio","id":"a","format":{"codec":"pcm16","rate":16000,"channels":1}}"#
        for _ in 0..<3 {
            let rejected = conversation.send(opening)
            #expect(rejected.errors == ["forbidden"])
            #expect(rejected.closing == nil)
        }
        // The frames of a rejected opening are ignored.
        #expect(conversation.send(binary: [0, 0]).isEmpty)
        #expect(conversation.send(#"{"type":"text","id":"b","text":"hi"}"#).replies.first?.type == "ack")
        claims.types = [.audio]
        #expect(renew(conversation, with: grant(claims: claims)).errors == [])
        #expect(conversation.send(#"{"type":"text","id":"c","text":"hi"}"#).errors == ["forbidden"])
        #expect(conversation.send(opening).replies.first?.type == "ack")
    }

    @Test func `a claimed limit replaces the configured one, also after a reload`() {
        var claims = ParleyClaims()
        claims.limits = [.init(.text, 4)]
        let conversation = conversation(claims) {
            $0.text = SessionPolicy.rate(of: .text, 60)
            $0.namedLimits = [.init("limits.text_per_minute", 60)]
        }
        #expect(conversation.send(#"{"type":"text","id":"a","text":"hi"}"#).replies.first?.type == "ack")
        #expect(conversation.send(#"{"type":"text","id":"b","text":"hi"}"#).errors == ["rate_limited"])
        #expect(conversation.session.policy.value.namedLimits.map(\.value) == [4])
        var policy = SessionPolicy()
        policy.namedLimits = [.init("limits.text_per_minute", 30)]
        conversation.session.sharedPolicy = SharedPolicy(policy)
        #expect(conversation.session.policy.value.namedLimits.map(\.value) == [4])
        #expect(renew(conversation, with: grant()).errors == [])
        #expect(conversation.session.policy.value.namedLimits.map(\.value) == [30])
    }

    @Test func `a claimed lifetime ends the session earlier`() {
        var claims = ParleyClaims()
        claims.sessionMilliseconds = 10_000
        let conversation = conversation(claims) { $0.lifetime = 60_000_000_000 }
        #expect(conversation.session.expiresAt == Self.start + 10_000)
        conversation.advance(milliseconds: 9999)
        #expect(conversation.tick().closing == nil)
        conversation.advance(milliseconds: 1)
        #expect(conversation.tick().closing?.code == .sessionExpired)
    }

    @Test func `requests carry the user, the claims and the allowed routes`() throws {
        var claims = ParleyClaims()
        claims.meta = [.init(key: "tenant", value: "acme")]
        claims.routes = ["talk"]
        let conversation = conversation(claims)
        let sent = conversation.send(#"{"type":"text","id":"a","text":"hi","meta":{"tenant":"other"}}"#)
        guard case .start(let request)? = sent.commands.first else { return #expect(Bool(false), "no request") }
        let access = try #require(request.access)
        #expect(access.user == "u1")
        #expect(access.claims.map { String(decoding: $0.value, as: UTF8.self) } == ["acme"])
        #expect(access.allows(route: "talk") && !access.allows(route: "other"))
        #expect(request.meta.map { String(decoding: $0.value, as: UTF8.self) } == ["other"])
    }
}
