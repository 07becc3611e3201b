// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct PlaybackProgressTests {
    private func played(_ outcome: Conversation.Outcome) -> [Int64?] {
        outcome.commands.compactMap { command in
            if case .clientState(.playing, _, let milliseconds) = command { milliseconds } else { nil }
        }
    }

    @Test func `progress over the limit is held; the newest is forwarded as soon as the limit admits it`() {
        var policy = SessionPolicy()
        policy.control = Rate(units: 1, per: .seconds(1), burst: 1)
        let conversation = Conversation(policy)
        #expect(played(conversation.send(#"{"type":"status","state":"playing","played_ms":100}"#)) == [100])
        for milliseconds in [200, 300] {
            let outcome = conversation.send(#"{"type":"status","state":"playing","played_ms":\#(milliseconds)}"#)
            #expect(outcome.errors.isEmpty && outcome.commands.isEmpty)
        }
        #expect(conversation.tick().commands.isEmpty)
        conversation.advance(milliseconds: 1000)
        #expect(played(conversation.tick()) == [300])
        conversation.advance(milliseconds: 5000)
        #expect(conversation.tick().commands.isEmpty)
    }
}
