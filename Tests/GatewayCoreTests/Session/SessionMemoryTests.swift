// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionMemoryTests {
    private func text(_ id: Int, _ count: Int) -> String {
        #"{"type":"text","id":"m\#(id)","text":"\#(String(repeating: "x", count: count))"}"#
    }

    /// Completes a request: the upstream consumes all of it and responds, and the client acknowledges.
    private func finish(_ conversation: Conversation, _ outcome: Conversation.Outcome, count: Int) throws {
        let key = try started(outcome).key
        conversation.session.upstreamConsumed(count)
        _ = conversation.receive(key, .text([], final: true), isLast: true)
        _ = conversation.send(#"{"type":"ack","seq":\#(conversation.session.outbox.lastSequence)}"#)
    }

    @Test func `the history is dropped first, then new messages are rejected until memory is free again`() throws {
        var policy = SessionPolicy()
        policy.memoryBudget = 100_000
        policy.historyBytes = 1 << 20
        let conversation = Conversation(policy)
        for id in 0..<3 { try finish(conversation, conversation.send(text(id, 10_000)), count: 10_000) }
        // For each request a text, and a response that only has a latency.
        #expect(conversation.session.history.count == 6)
        // The upstream consumes nothing of this one: it fills the queue.
        let big = conversation.send(text(3, 40_000))
        #expect(big.errors.isEmpty)
        #expect(conversation.session.history.count == 1)
        let rejected = conversation.send(text(4, 60_000))
        #expect(rejected.errors == ["memory_limit"])
        #expect(rejected.error?["reply_to"] as? String == "m4" && rejected.error?["retryable"] as? Bool == true)
        #expect(rejected.closing == nil && rejected.commands.isEmpty)
        #expect(conversation.session.history.count == 0)
        try finish(conversation, big, count: 40_000)
        #expect(conversation.send(text(4, 40_000)).errors.isEmpty)
    }

    @Test func `a session over its budget ends if dropping the history isn't enough`() throws {
        var policy = SessionPolicy()
        policy.memoryBudget = 50_000
        policy.historyBytes = 1 << 20
        let conversation = Conversation(policy)
        try finish(conversation, conversation.send(text(0, 20_000)), count: 20_000)
        var connection = MemoryUsage.Connection()
        connection.socketQueue = 35_000
        conversation.session.memoryUsage.connection = connection
        var outcome = conversation.perform { session, _, effects in session.enforceBudget(effects: &effects) }
        #expect(outcome.isEmpty)
        #expect(conversation.session.history.count == 0)
        connection.socketQueue = 50_000
        conversation.session.memoryUsage.connection = connection
        outcome = conversation.perform { session, _, effects in session.enforceBudget(effects: &effects) }
        #expect(outcome.errors == ["memory_limit"])
        #expect(outcome.closing?.code == .memoryLimit && outcome.endsSession)
    }

    @Test func `a session ends above its budget, not at it`() {
        for (over, ends) in [(0, false), (1, true)] {
            var policy = SessionPolicy()
            policy.memoryBudget = MemoryUsage.base + 1000
            let conversation = Conversation(policy)
            conversation.session.memoryUsage.connection.assembler = 1000 + over
            let outcome = conversation.perform { session, _, effects in session.enforceBudget(effects: &effects) }
            #expect((outcome.closing != nil) == ends)
        }
    }

    @Test func `chunks that exceed the budget are rejected by number`() throws {
        var policy = SessionPolicy()
        policy.memoryBudget = 20_000
        let conversation = Conversation(policy)
        try conversation.open("u1")
        #expect(conversation.send(binary: [UInt8](repeating: 0, count: 5000)).errors.isEmpty)
        let rejected = conversation.send(binary: [UInt8](repeating: 0, count: 15_000))
        #expect(rejected.errors == ["memory_limit"] && rejected.error?["chunk"] as? Int == 2)
    }

    @Test func `a full queue rejects messages until the upstream has consumed some`() throws {
        var policy = SessionPolicy()
        policy.upstreamQueueBytes = 10_000
        let conversation = Conversation(policy)
        try conversation.open("u1")
        // The request itself counts as 1024 bytes.
        #expect(conversation.send(binary: [UInt8](repeating: 0, count: 8000)).errors.isEmpty)
        let over = conversation.send(binary: [UInt8](repeating: 0, count: 978))
        #expect(over.errors == ["overloaded"])
        #expect(over.error?["chunk"] as? Int == 2 && over.error?["retry_after_ms"] as? Int == 1000)
        _ = conversation.send(#"{"type":"audio","id":"u1","from":2}"#)
        #expect(conversation.send(binary: [UInt8](repeating: 0, count: 976)).errors.isEmpty)
        #expect(conversation.send(#"{"type":"text","id":"m1","text":"x"}"#).errors == ["overloaded"])
        conversation.session.upstreamConsumed(8976)
        #expect(conversation.send(#"{"type":"text","id":"m1","text":"x"}"#).errors.isEmpty)
    }

    @Test func `a message larger than the whole queue is accepted when the queue is empty`() throws {
        var policy = SessionPolicy()
        policy.upstreamQueueBytes = 1000
        let conversation = Conversation(policy)
        try conversation.open("u1")
        #expect(conversation.send(binary: [UInt8](repeating: 0, count: 100_000)).errors.isEmpty)
        #expect(conversation.send(binary: [0, 0]).errors == ["overloaded"])
    }

    @Test func `requests in flight count toward the upstream queue even if their texts are consumed`() {
        var policy = SessionPolicy()
        policy.upstreamQueueBytes = 100_000
        let conversation = Conversation(policy)
        var accepted = 0
        for id in 0..<1000 where conversation.send(text(id, 1)).errors.isEmpty {
            accepted += 1
            conversation.session.upstreamConsumed(1)
        }
        #expect(accepted == 98)
    }

    @Test func `the size of the upstream queue never becomes negative`() {
        let conversation = Conversation()
        conversation.session.upstreamConsumed(.max)
        conversation.session.upstreamConsumed(5)
        conversation.session.updateMemoryUsage()
        #expect(conversation.session.memoryUsage.upstreamQueue == 0)
    }

    @Test func `reclaiming memory drops the history`() {
        let conversation = Conversation()
        _ = conversation.send(text(0, 1000))
        conversation.session.updateMemoryUsage()
        #expect(conversation.session.memoryUsage.history > 0)
        conversation.session.dropHistory()
        #expect(conversation.session.memoryUsage.history == 0)
    }
}
