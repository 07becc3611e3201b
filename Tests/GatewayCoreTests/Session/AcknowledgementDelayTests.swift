// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// How long an acknowledgement may be delayed to share a write with the response.
@Suite struct AcknowledgementDelayTests {
    private let conversation = Conversation()

    /// Sends a text whose response begins after `milliseconds`.
    private func exchange(_ id: String, milliseconds: Int64) throws {
        let key = try conversation.begin(id)
        conversation.advance(milliseconds: milliseconds)
        _ = conversation.receive(key, .text([0x61], final: true), isLast: true)
    }

    @Test func `before the first response, an acknowledgement is delayed by 5 ms`() throws {
        #expect(conversation.session.acknowledgementDelay == nil)
        _ = try conversation.begin("m1")
        #expect(conversation.session.acknowledgementDelay == 5_000_000)
    }

    @Test(
        arguments: [(1, 5_000_000), (2, 5_000_000), (3, 6_000_000), (49, 98_000_000), (50, 100_000_000), (51, nil), (3000, nil)]
            as [(Int64, Int64?)])
    func `an acknowledgement is delayed by twice the response's delay, if at most 100 ms`(milliseconds: Int64, delay: Int64?) throws {
        try exchange("m1", milliseconds: milliseconds)
        #expect(conversation.session.acknowledgementDelay == nil)
        _ = try conversation.begin("m2")
        #expect(conversation.session.acknowledgementDelay == delay)
    }

    @Test func `one slow response changes the delay little; many slow responses turn it off`() throws {
        for index in 0..<8 { try exchange("quick\(index)", milliseconds: 8) }
        try exchange("slow", milliseconds: 88)
        _ = try conversation.begin("next")
        // Twice the sum of 8 ms and an eighth of the additional 80 ms.
        #expect(conversation.session.acknowledgementDelay == 36_000_000)
        for index in 0..<8 { try exchange("slow\(index)", milliseconds: 88) }
        #expect(conversation.session.acknowledgementDelay == nil)
    }

    @Test func `an acknowledgement isn't delayed while other messages wait or an audio stream is open`() throws {
        let key = try conversation.begin("m1")
        conversation.isSocketOpen = false
        _ = conversation.receive(key, .text([0x61], final: false))
        #expect(conversation.session.acknowledgementDelay == nil)
        conversation.isSocketOpen = true
        _ = conversation.tick()
        #expect(conversation.session.acknowledgementDelay != nil)
        _ = try conversation.open("u1")
        #expect(conversation.session.acknowledgementDelay == nil)
    }
}
