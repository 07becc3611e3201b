// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionOpeningTests {
    private func open(_ conversation: Conversation, _ beginning: Session.Beginning = .new) -> Conversation.Outcome {
        conversation.perform { session, _, effects in session.open(beginning, token: Array("dG9rZW4".utf8), effects: &effects) }
    }

    @Test func `the first message describes the session`() {
        var policy = SessionPolicy()
        policy.lifetime = 86_400_000_000_000
        policy.heartbeatMilliseconds = 15_000
        policy.namedLimits = [.init("limits.text_per_minute", 60), .init("limits.audio_realtime_factor", 1.5)]
        let outcome = open(Conversation(policy))
        #expect(
            outcome.texts == [
                #"{"type":"session","session_id":"0000000000000G000000000002","resume_token":"dG9rZW4","resumed":false,"lost":false,"#
                    + #""last_seq":0,"expires_at":1700086400000,"heartbeat_ms":15000,"#
                    + #""limits":{"limits.text_per_minute":60,"limits.audio_realtime_factor":1.5},"protocol":"parley.v1"}"#
            ])
        // The message contains a secret next to bytes that the client chooses.
        #expect(outcome.replies.allSatisfy { !$0.mayCompress })
    }

    @Test(arguments: [(ResumeError.expired, "expired"), (.unknown, "unknown"), (.badLastSequence, "bad_last_seq")])
    func `a failed resume opens a new session and reports the reason`(error: ResumeError, name: String) {
        let message = open(Conversation(), .newAfterFailedResume(error)).replies[0]
        #expect(message["resumed"] as? Bool == false)
        #expect(message["lost"] as? Bool == true)
        #expect(message["resume_error"] as? String == name)
    }

    @Test func `a session that never expires has a null expires_at`() {
        #expect(open(Conversation()).texts[0].contains(#""expires_at":null"#))
    }
}
