// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionDeadlineTests {
    private func conversation(lifetime: Int64 = .max, idle: Int64 = .max) -> Conversation {
        var policy = SessionPolicy()
        policy.lifetime = lifetime == .max ? .max : lifetime * 1_000_000
        policy.idle = idle == .max ? .max : idle * 1_000_000
        return Conversation(policy)
    }

    @Test func `a session expires at the end of its lifetime, not before`() {
        let conversation = conversation(lifetime: 60_000)
        conversation.advance(milliseconds: 59_999)
        #expect(conversation.tick().closing == nil)
        conversation.advance(milliseconds: 1)
        let end = conversation.tick()
        #expect(end.errors == ["session_expired"])
        #expect(end.error?["fatal"] as? Bool == true)
        #expect(end.closing?.code == .sessionExpired && end.endsSession)
        #expect(end.incidents.map(\.source) == [.gateway])
    }

    @Test func `a session expires after the idle time without a message`() {
        let conversation = conversation(idle: 30_000)
        conversation.advance(milliseconds: 29_999)
        #expect(conversation.tick().isEmpty)
        _ = conversation.send(#"{"type":"ping"}"#)
        conversation.advance(milliseconds: 29_999)
        #expect(conversation.tick().isEmpty)
        _ = conversation.send(binary: [])
        conversation.advance(milliseconds: 29_999)
        #expect(conversation.tick().isEmpty)
        conversation.advance(milliseconds: 1)
        #expect(conversation.tick().closing?.code == .sessionExpired)
    }

    @Test(arguments: [(60_000, 6000), (86_400_000, 30_000)] as [(Int64, Int64)])
    func `the expiry is announced once, a tenth of the lifetime in advance, at most 30 s`(lifetime: Int64, notice: Int64) {
        let conversation = conversation(lifetime: lifetime)
        conversation.advance(milliseconds: lifetime - notice - 1)
        #expect(conversation.tick().isEmpty)
        conversation.advance(milliseconds: 1)
        #expect(conversation.tick().texts == [#"{"type":"goaway","reason":"session_expires","deadline_ms":\#(notice)}"#])
        conversation.advance(milliseconds: 1)
        #expect(conversation.tick().isEmpty)
    }

    @Test func `a session without limits never expires`() {
        let conversation = conversation()
        conversation.now = .distantFuture
        #expect(conversation.tick().isEmpty)
    }
}
