// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionResumingTests {
    private func text(_ id: String) -> String { #"{"type":"text","id":"\#(id)","text":"hello"}"# }
    private let opening = #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":1}}"#

    @Test func `messages created while detached are written to the next connection, in order and once`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        conversation.isSocketOpen = false
        conversation.detach()
        _ = conversation.receive(key, .text(Array("a".utf8), final: false))
        _ = conversation.receive(key, .text(Array("b".utf8), final: true), isLast: true)
        conversation.isSocketOpen = true
        let resumed = conversation.resume(after: 0)
        #expect(resumed.replies[0]["resumed"] as? Bool == true && resumed.replies[0]["lost"] as? Bool == false)
        #expect(resumed.replies[0]["last_seq"] as? Int == 2)
        #expect(resumed.sequenced.compactMap { $0["seq"] as? Int } == [1, 2])
        #expect(conversation.tick().sequenced.isEmpty)
    }

    @Test(arguments: [(0, [1, 2, 3]), (2, [3]), (3, [])] as [(UInt64, [Int])])
    func `messages after last_seq are written again`(last: UInt64, expected: [Int]) throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        for letter in ["a", "b", "c"] { _ = conversation.receive(key, .text(Array(letter.utf8), final: false)) }
        conversation.detach()
        #expect(conversation.canResume(after: last))
        #expect(conversation.resume(after: last).sequenced.compactMap { $0["seq"] as? Int } == expected)
    }

    @Test func `without last_seq, all unacknowledged messages are written again`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        for letter in ["a", "b", "c"] { _ = conversation.receive(key, .text(Array(letter.utf8), final: false)) }
        _ = conversation.send(#"{"type":"ack","seq":2}"#)
        conversation.detach()
        let resumed = conversation.resume(after: nil)
        #expect(resumed.replies[0]["lost"] as? Bool == false)
        #expect(resumed.sequenced.compactMap { $0["seq"] as? Int } == [3])
    }

    @Test func `a session can't be resumed after a number that it hasn't reached`() throws {
        let conversation = Conversation()
        _ = conversation.receive(try conversation.begin("m1"), .text(Array("a".utf8), final: true), isLast: true)
        for last in [nil, 0, 1] as [UInt64?] { #expect(conversation.canResume(after: last)) }
        for last in [2, .max] as [UInt64] { #expect(!conversation.canResume(after: last)) }
    }

    @Test func `a resume after a number below the acknowledged one reports a loss`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        for letter in ["a", "b", "c"] { _ = conversation.receive(key, .text(Array(letter.utf8), final: false)) }
        _ = conversation.send(#"{"type":"ack","seq":2}"#)
        conversation.detach()
        let resumed = conversation.resume(after: 1)
        #expect(resumed.replies[0]["lost"] as? Bool == true)
        #expect(resumed.sequenced.compactMap { $0["seq"] as? Int } == [3])
    }

    @Test(arguments: [(2, false), (3, true)])
    func `an outbox that overflows while detached keeps the newest and reports a loss`(count: Int, isLost: Bool) throws {
        var policy = SessionPolicy()
        policy.outboxMessages = 2
        let conversation = Conversation(policy)
        let key = try conversation.begin("m1")
        conversation.isSocketOpen = false
        conversation.detach()
        #expect(conversation.wantedEvents() == 2)
        for _ in 0..<count { _ = conversation.receive(key, .text(Array("a".utf8), final: false)) }
        #expect(conversation.wantedEvents() == 0)
        conversation.isSocketOpen = true
        let resumed = conversation.resume(after: 0)
        #expect(resumed.replies[0]["lost"] as? Bool == isLost)
        #expect(resumed.sequenced.compactMap { $0["seq"] as? Int } == Array(count - 1...count))
        #expect(conversation.wantedEvents() == 2)
    }

    @Test func `frames whose opening was dropped are dropped, too`() throws {
        var policy = SessionPolicy()
        policy.outboxMessages = 6
        let conversation = Conversation(policy)
        let key = try conversation.begin("m1")
        let format = AudioFormat(codec: .pcm16, rate: 16000, channels: 1)
        conversation.isSocketOpen = false
        conversation.detach()
        func receive(_ content: UpstreamEvent.Content) { _ = conversation.receive(key, content) }
        receive(.audio(format))
        receive(.audioChunk([1]))
        receive(.status("speaking", progress: nil))
        receive(.audioChunk([2]))
        receive(.audioEnd(format))
        receive(.audio(format))
        receive(.audioChunk([3]))
        conversation.isSocketOpen = true
        let resumed = conversation.resume(after: 0)
        #expect(resumed.replies[0]["lost"] as? Bool == true)
        #expect(resumed.sequenced.map(\.isBinary) == [false, false, false, true])
        #expect(resumed.sequenced.compactMap { $0["seq"] as? Int } == [3, 5, 6])
        #expect(resumed.sequenced.last?.bytes == [3])
    }

    @Test func `an open stream continues after the accepted chunks`() throws {
        let conversation = Conversation()
        _ = conversation.send(opening)
        for _ in 0..<3 { _ = conversation.send(binary: [0, 0]) }
        conversation.detach()
        let open = try #require(conversation.resume(after: 0).replies[0]["open_audio"] as? [String: Any])
        #expect(open["id"] as? String == "u1" && open["chunks"] as? Int == 3)
        #expect(conversation.send(binary: [0, 0]).isEmpty, "ignored until the client sends from")
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":5}"#).errors == ["invalid_audio"])
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":4}"#).texts == [#"{"type":"ack","id":"u1","chunks":3}"#])
        #expect(conversation.send(binary: [0, 0]).commands.count == 1)
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).texts == [#"{"type":"ack","id":"u1","chunks":4}"#])
    }

    @Test func `an opening repeated after the resume is a duplicate with the number of accepted chunks`() {
        let conversation = Conversation()
        _ = conversation.send(opening)
        for _ in 0..<3 { _ = conversation.send(binary: [0, 0]) }
        conversation.detach()
        _ = conversation.resume(after: 0)
        #expect(conversation.send(opening).texts == [#"{"type":"ack","id":"u1","duplicate":true,"chunks":3}"#])
    }

    @Test(arguments: [(10, 10), (30, 30), (100, 30)])
    func `the audio of an outage may be sent at once afterwards, up to 30 s`(outage: Int64, credit: Int64) {
        var policy = SessionPolicy()
        policy.realtime = Rate(units: 1e6, per: .seconds(1), burst: 5e6)
        let conversation = Conversation(policy)
        _ = conversation.send(#"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":8000,"channels":1}}"#)
        conversation.detach()
        conversation.advance(milliseconds: outage * 1000)
        _ = conversation.resume(after: 0)
        _ = conversation.send(#"{"type":"audio","id":"u1","from":1}"#)
        let second = [UInt8](repeating: 0, count: 16_000)
        for _ in 0..<credit + 5 { #expect(conversation.send(binary: second).errors.isEmpty) }
        #expect(conversation.send(binary: second).errors == ["too_fast"])
    }

    @Test(arguments: [(119_999, false), (120_000, true)])
    func `a detached session expires at the end of the resume window`(milliseconds: Int64, isExpired: Bool) {
        var policy = SessionPolicy()
        policy.resumeWindow = 120_000_000_000
        let conversation = Conversation(policy)
        conversation.advance(milliseconds: 1_000_000)
        #expect(!conversation.isExpired)
        conversation.detach()
        conversation.advance(milliseconds: milliseconds)
        #expect(conversation.isExpired == isExpired)
    }

    @Test func `the idle time continues while detached`() {
        var policy = SessionPolicy()
        policy.idle = 60_000_000_000
        let conversation = Conversation(policy)
        conversation.detach()
        conversation.advance(milliseconds: 60_000)
        #expect(conversation.isExpired)
    }

    @Test func `a session that moves to a clock that is ahead keeps its expiry and limits`() throws {
        var policy = SessionPolicy()
        policy.resumeWindow = 120_000_000_000
        policy.text = Rate(units: 60, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        _ = try conversation.begin("m1")
        conversation.detach()
        conversation.advance(milliseconds: 400)
        conversation.session.move(toClockAheadBy: 3_600_000_000_000)
        conversation.now = conversation.now.advanced(byNanoseconds: 3_600_000_000_000)
        #expect(!conversation.isExpired)
        _ = conversation.resume(after: 0)
        #expect(conversation.send(text("m2")).error?["retry_after_ms"] as? Int == 600)
    }

    @Test(arguments: CloseCode.allCases)
    func `a fatal error ends the session only with certain close codes`(code: CloseCode) {
        let conversation = Conversation()
        let outcome = conversation.perform { session, _, effects in
            session.end(.unsupportedInput, source: .gateway, close: code, effects: &effects)
        }
        let endings: [CloseCode] = [.normal, .unauthorized, .sessionExpired, .tooManyViolations, .memoryLimit, .endedByOperator]
        #expect(outcome.endsSession == endings.contains(code))
    }

    @Test func `a token stays valid until its successor is confirmed`() {
        func hash(_ number: UInt64) -> TokenHash { TokenHash(number, 0, 0, 0) }
        var credentials = ResumeCredentials()
        credentials.issue(hash(1), for: nil)
        #expect(credentials.accept(hash(1)) && !credentials.accept(hash(2)))
        credentials.issue(hash(2), for: hash(1))
        #expect(credentials.accept(hash(1)) && credentials.accept(hash(2)))
        // Presented again before the confirmation: the lost successor becomes invalid.
        credentials.issue(hash(3), for: hash(1))
        #expect(credentials.accept(hash(1)) && !credentials.accept(hash(2)) && credentials.accept(hash(3)))
        // Presenting the successor confirms it.
        credentials.issue(hash(4), for: hash(3))
        #expect(!credentials.accept(hash(1)) && credentials.accept(hash(3)) && credentials.accept(hash(4)))
        credentials.confirm()
        #expect(credentials.tokens == [hash(4)])
    }

    @Test func `any ack on the new connection confirms the new token`() {
        let conversation = Conversation()
        conversation.session.issue(TokenHash(1, 0, 0, 0), for: nil)
        conversation.session.issue(TokenHash(2, 0, 0, 0), for: TokenHash(1, 0, 0, 0))
        _ = conversation.send(#"{"type":"ping"}"#)
        #expect(conversation.session.credentials.tokens.count == 2)
        _ = conversation.send(#"{"type":"ack","seq":0}"#)
        #expect(conversation.session.credentials.tokens == [TokenHash(2, 0, 0, 0)])
    }
}
