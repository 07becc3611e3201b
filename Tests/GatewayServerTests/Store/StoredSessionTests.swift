// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Logging
import NIOCore
import NIOEmbedded
import Support
import Testing

/// Sessions while the store is slow or fails, and after a crash of the gateway. An `ack` means that the message is durable.
@Suite struct StoredSessionTests {
    private let store = TestStore()
    private let text = #"{"type":"text","id":"a","text":"hello"}"#
    private let opening = #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":1}}"#

    private func gateway(_ change: (inout GatewayConfiguration) -> Void = { _ in }) -> LoopHarness {
        let harness = LoopHarness(sharing: nil, store: store, change)
        _ = harness.shard.sessions.restore(store.load())
        harness.eventLoop.runPendingTasks()
        return harness
    }

    private func open(_ harness: LoopHarness, token: JSON? = nil, last: Int = 0) throws -> (EmbeddedConnection, JSON, [String]) {
        let connection = try harness.connect()
        let headers = token.map { "Parley-Resume: \($0.string ?? "")\r\n" } ?? ""
        try connection.upgrade(path: "/v1/ws?last_seq=\(last)", headers: headers)
        let frames = try connection.frames().map(\.text)
        return (connection, try JSON(try #require(frames.first)), Array(frames.dropFirst()))
    }

    @Test func `neither the ack nor the response is sent before it is committed`() throws {
        let harness = gateway()
        let (client, _, _) = try open(harness)
        store.holdsBatches = true
        try client.send(text: text)
        #expect(try client.frames().isEmpty && store.pending == 1)
        store.commit()
        harness.eventLoop.runPendingTasks()
        #expect(try client.frames().map { try JSON($0.text)["type"] } == ["ack", "text"])
    }

    @Test func `effects of one event-loop pass share a commit, and replies keep their order`() throws {
        let harness = gateway()
        let (first, _, _) = try open(harness)
        let (second, _, _) = try open(harness)
        store.holdsBatches = true
        for client in [first, second] {
            try client.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x81, Array(text.utf8))))
            try client.channel.writeInbound(
                ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x81, Array(#"{"type":"ping","id":"p"}"#.utf8))))
        }
        harness.eventLoop.runPendingTasks()
        #expect(store.pending == 1)
        try first.send(text: #"{"type":"text","id":"b","text":"more"}"#)
        #expect(store.pending == 2)
        store.commit()
        harness.eventLoop.runPendingTasks()
        #expect(try first.frames().map { try JSON($0.text)["type"] } == ["ack", "pong", "text", "ack", "text"])
        #expect(try second.frames().map { try JSON($0.text)["type"] } == ["ack", "pong", "text"])
    }

    @Test func `the session message with its token waits for the commit`() throws {
        let harness = gateway()
        store.holdsBatches = true
        let client = try harness.connect()
        try client.upgrade()
        #expect(try client.frames().isEmpty)
        store.commit()
        harness.eventLoop.runPendingTasks()
        #expect(try client.frames().map { try JSON($0.text)["type"] } == ["session"])
    }

    @Test func `a protocol error drops uncommitted acks and still closes with 1002`() throws {
        let harness = gateway()
        let (client, _, _) = try open(harness)
        store.holdsBatches = true
        try client.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x81, Array(text.utf8))))
        try client.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x83, [])))
        harness.eventLoop.runPendingTasks()
        #expect(try client.frames().map(\.closeCode) == [1002])
    }

    @Test func `while the store fails, only new work is rejected`() throws {
        let harness = gateway()
        let (client, _, _) = try open(harness)
        try client.send(text: opening)
        _ = try client.frames()
        store.acceptsWork = false
        try client.send(text: text)
        #expect(try JSON(try #require(client.frames().last?.text))["error"]["code"] == "overloaded")
        try client.send(binary: [0, 0])
        let rejected = try JSON(try #require(client.frames().last?.text))["error"]
        #expect(
            rejected["code"] == "overloaded" && rejected["retry_after_ms"] == 1000 && rejected["chunk"] == 1
                && rejected["retryable"] == true)
        try client.send(text: #"{"type":"ping"}"#)
        #expect(try client.frames().last?.text.contains("pong") == true)
        store.acceptsWork = true
        try client.send(text: text)
        #expect(try client.frames().map { try JSON($0.text)["type"] } == ["ack", "text"])
    }

    @Test func `while the store fails, sessions with a pending commit still get replies`() throws {
        let harness = gateway()
        let (client, _, _) = try open(harness)
        store.holdsBatches = true
        try client.send(text: text)
        store.acceptsWork = false
        try client.send(text: #"{"type":"ping","id":"p"}"#)
        try client.send(text: #"{"type":"text","id":"b","text":"more"}"#)
        #expect(try client.frames().map { try JSON($0.text)["type"] } == ["pong", "error"])
        store.acceptsWork = true
        store.holdsBatches = false
        store.commit()
        harness.eventLoop.runPendingTasks()
        #expect(try client.frames().map { try JSON($0.text)["type"] } == ["ack", "text"])
    }

    @Test func `a text whose commit fails is rejected immediately; neither ack nor response follows`() throws {
        let harness = gateway()
        let (client, session, _) = try open(harness)
        store.holdsBatches = true
        try client.send(text: text)
        try client.send(text: #"{"type":"ping","id":"p"}"#)
        try client.send(text: text)
        #expect(try client.frames().isEmpty)
        store.fail()
        harness.eventLoop.runPendingTasks()
        let replies = try client.frames().map { try JSON($0.text) }
        #expect(replies.map { $0["type"] } == ["pong", "error"])
        #expect(replies.last?["error"]["code"] == "overloaded" && replies.last?["error"]["reply_to"] == "a")
        #expect(replies.last?["error"]["retry_after_ms"] == 1000 && replies.last?["error"]["retryable"] == true)
        // While the store fails, every text is rejected immediately.
        try client.send(text: text)
        #expect(try client.frames().map { try JSON($0.text)["error"]["code"] } == ["overloaded"])
        store.acceptsWork = true
        store.holdsBatches = false
        store.commit()
        harness.eventLoop.runPendingTasks()
        #expect(try client.frames().isEmpty)
        try client.send(text: text)
        #expect(try client.frames().map { try JSON($0.text)["type"] } == ["ack", "text"])
        store.crash()
        let (_, resumed, replayed) = try open(gateway(), token: session["resume_token"])
        #expect(resumed["resumed"] == true && replayed.count == 1)
    }

    @Test func `a response in several messages is withdrawn with its request; earlier messages stay`() throws {
        let harness = gateway()
        let (client, session, _) = try open(harness)
        try client.send(text: text)
        #expect(try client.frames().count == 2)
        store.holdsBatches = true
        let long = (1...20).map(String.init).joined(separator: " ")
        try client.send(text: #"{"type":"text","id":"long","text":"\#(long)"}"#)
        store.fail()
        harness.eventLoop.runPendingTasks()
        harness.advance(by: .seconds(1))
        #expect(try client.frames().map { try JSON($0.text)["error"]["code"] } == ["overloaded"])
        store.acceptsWork = true
        store.holdsBatches = false
        store.commit()
        store.crash()
        let (_, resumed, replayed) = try open(gateway(), token: session["resume_token"])
        #expect(resumed["resumed"] == true && replayed.map { $0.contains(#""reply_to":"a""#) } == [true])
    }

    @Test func `when the commit of a chunk fails, the client gets overloaded and can continue the recording from that chunk`() throws {
        let harness = gateway()
        let (client, _, _) = try open(harness)
        try client.send(text: opening)
        _ = try client.frames()
        store.holdsBatches = true
        try client.send(binary: [0, 0])
        store.fail()
        harness.eventLoop.runPendingTasks()
        let rejected = try JSON(try #require(client.frames().last?.text))["error"]
        #expect(rejected["code"] == "overloaded" && rejected["reply_to"] == "u1" && rejected["chunk"] == 2)
        store.acceptsWork = true
        store.holdsBatches = false
        store.commit()
        harness.eventLoop.runPendingTasks()
        try client.send(text: #"{"type":"audio","id":"u1","from":2}"#)
        try client.send(text: #"{"type":"audio","id":"u1","final":true}"#)
        let frames = try client.frames().map { try JSON($0.text) }
        #expect(frames.prefix(2).map { $0["chunks"] } == [1, 1])
        #expect(frames.last?["type"] == "transcript")
    }

    @Test func `a client whose session can't be stored gets overloaded and 1013; the next one is served`() throws {
        let harness = gateway()
        store.holdsBatches = true
        let client = try harness.connect()
        try client.upgrade()
        try client.send(text: text)
        store.fail()
        harness.eventLoop.runPendingTasks()
        let frames = try client.frames()
        #expect(try frames.dropLast().map { try JSON($0.text)["error"]["code"] } == ["overloaded"])
        #expect(frames.last?.closeCode == 1013)
        store.acceptsWork = true
        store.holdsBatches = false
        store.commit()
        harness.eventLoop.runPendingTasks()
        let (next, _, _) = try open(harness)
        try next.send(text: text)
        #expect(try next.frames().map { try JSON($0.text)["type"] } == ["ack", "text"])
    }

    @Test func `no reply precedes the session message, even while the store fails`() throws {
        let harness = gateway()
        store.holdsBatches = true
        let client = try harness.connect()
        try client.upgrade()
        store.acceptsWork = false
        try client.send(text: #"{"type":"ping","id":"p"}"#)
        #expect(try client.frames().isEmpty)
        store.commit()
        harness.eventLoop.runPendingTasks()
        #expect(try client.frames().map { try JSON($0.text)["type"] } == ["session", "pong"])
    }

    @Test func `rejections during an outage don't count toward limits.refusals_per_minute`() throws {
        let harness = gateway { $0.limits.refusalsPerMinute = 5 }
        let (client, _, _) = try open(harness)
        store.acceptsWork = false
        for index in 0..<20 { try client.send(text: #"{"type":"text","id":"m\#(index)","text":"x"}"#) }
        #expect(try client.frames().compactMap { try JSON($0.text)["error"]["code"].string } == Array(repeating: "overloaded", count: 20))
        store.acceptsWork = true
        try client.send(text: text)
        #expect(try client.frames().map { try JSON($0.text)["type"] } == ["ack", "text"])
    }

    @Test func `the resume window doesn't expire while the store fails`() throws {
        let harness = gateway { $0.sessions.resumeWindow = .seconds(10) }
        let (client, _, _) = try open(harness)
        try client.send(text: text)
        _ = try? client.channel.finish()
        harness.eventLoop.runPendingTasks()
        store.acceptsWork = false
        harness.advance(by: .seconds(60))
        #expect(harness.shared.sessions.detached == 1)
        store.acceptsWork = true
        harness.advance(by: .seconds(9))
        #expect(harness.shared.sessions.detached == 1)
        harness.advance(by: .seconds(2))
        #expect(harness.shared.sessions.detached == 0)
    }

    @Test func `a session continues after a crash`() throws {
        let before = gateway()
        let (client, session, _) = try open(before)
        try client.send(text: text)
        try client.send(text: opening)
        for _ in 0..<70 { try client.send(binary: [0, 0]) }
        #expect(try client.frames().count == 4)
        store.crash()
        let after = gateway()
        #expect(after.shared.sessions.detached == 1)
        let (again, resumed, replayed) = try open(after, token: session["resume_token"])
        #expect(resumed["session_id"] == session["session_id"] && resumed["resumed"] == true && resumed["lost"] == false)
        #expect(resumed["open_audio"]["id"] == "u1" && resumed["open_audio"]["chunks"] == 70)
        #expect(replayed.count == 1 && replayed[0].contains(#""seq":1,"reply_to":"a","text":"hello""#))
        try again.send(text: text)
        #expect(try again.frames().map(\.text) == [#"{"type":"ack","id":"a","duplicate":true}"#])
        try again.send(text: #"{"type":"audio","id":"u1","from":71}"#)
        try again.send(text: #"{"type":"audio","id":"u1","final":true}"#)
        // The chunks from before the crash were forwarded again.
        let frames = try again.frames().map(\.text)
        #expect(frames.last?.contains(#""type":"transcript","seq":2"#) == true)
    }

    @Test func `samples split by a crash are joined`() throws {
        let before = gateway()
        let (client, session, _) = try open(before)
        try client.send(text: opening)
        for count in [1, 639, 3, 3200, 1] { try client.send(binary: [UInt8](repeating: 0, count: count)) }
        store.crash()
        let after = gateway()
        let (again, resumed, _) = try open(after, token: session["resume_token"])
        #expect(resumed["open_audio"]["chunks"] == 5)
        try again.send(text: #"{"type":"audio","id":"u1","from":6}"#)
        for count in [155, 1] { try again.send(binary: [UInt8](repeating: 0, count: count)) }
        try again.send(text: #"{"type":"audio","id":"u1","final":true}"#)
        let last = try JSON(try #require(again.frames().last?.text))
        #expect(last["text"] == "0.1 s of pcm16 at 16000 Hz, peak silent, 0 % speech", "\(last)")
        try again.send(text: #"{"type":"status"}"#)
        #expect(try JSON(try #require(again.frames().last?.text))["session"]["audio_seconds"] == 0.125)
    }

    @Test func `a rejected chunk is still missing after a crash`() throws {
        let before = gateway()
        let (client, session, _) = try open(before)
        try client.send(text: #"{"type":"audio","id":"u1","format":{"codec":"opus","rate":48000}}"#)
        for packet in [[0x48], [3], [0x48]] as [[UInt8]] { try client.send(binary: packet) }
        store.crash()
        let after = gateway()
        let (again, resumed, _) = try open(after, token: session["resume_token"])
        #expect(resumed["open_audio"]["chunks"] == 1)
        try again.send(text: #"{"type":"audio","id":"u1","final":true}"#)
        let last = try JSON(try #require(again.frames().last?.text))
        #expect(last["error"]["code"] == "invalid_audio" && last["reply_to"] == "u1" && last["done"] == true, "\(last)")
    }

    @Test func `a text that isn't committed before a crash isn't acknowledged and can be sent again`() throws {
        let before = gateway()
        let (client, session, _) = try open(before)
        store.holdsBatches = true
        try client.send(text: text)
        #expect(try client.frames().isEmpty)
        store.crash()
        store.holdsBatches = false
        let after = gateway()
        let (again, resumed, replayed) = try open(after, token: session["resume_token"])
        #expect(resumed["resumed"] == true && resumed["last_seq"] == 0 && replayed.isEmpty)
        try again.send(text: text)
        #expect(try again.frames().map { try JSON($0.text)["type"] } == ["ack", "text"])
    }

    @Test func `after a crash a request without response is forwarded again; one with a partial response fails`() throws {
        let before = gateway { $0.delivery.socketQueueBytes = 600 }
        let (client, session, _) = try open(before)
        client.channel.isWritable = false
        let long = (1...200).map(String.init).joined(separator: " ")
        try client.send(text: #"{"type":"text","id":"begun","text":"\#(long)"}"#)
        try client.send(text: #"{"type":"text","id":"waiting","text":"\#(long)"}"#)
        store.crash()
        let after = gateway()
        let (again, resumed, replayed) = try open(after, token: session["resume_token"])
        #expect(resumed["resumed"] == true)
        after.advance(by: .seconds(1))
        let messages = try (replayed + again.frames().map(\.text)).map { try JSON($0) }
        let begun = messages.filter { $0["reply_to"] == "begun" || $0["error"]["reply_to"] == "begun" }
        #expect(
            begun.last?["error"]["code"] == "upstream_error" && begun.last?["error"]["retryable"] == true && begun.last?["done"] == true)
        let pending = messages.filter { $0["reply_to"] == "waiting" }
        #expect(pending.compactMap { $0["text"].string }.joined() == long && pending.last?["done"] == true)
        #expect(messages.map { $0["seq"].integer } == (1...messages.count).map { $0 })
    }

    @Test func `an ended session leaves no records`() throws {
        let harness = gateway { $0.sessions.resumeWindow = .seconds(1) }
        let (client, _, _) = try open(harness)
        try client.send(text: text)
        try client.send(text: #"{"type":"bye"}"#)
        #expect(store.load().isEmpty)
        let (second, _, _) = try open(harness)
        try second.send(text: text)
        _ = try? second.channel.finish()
        harness.advance(by: .seconds(3))
        #expect(store.load().isEmpty)
    }

    @Test func `rate limits continue after a restart`() throws {
        let before = gateway { $0.limits.textPerMinute = 4 }
        let (client, session, _) = try open(before)
        try client.send(text: text)
        store.crash()
        let after = gateway { $0.limits.textPerMinute = 4 }
        let (again, _, _) = try open(after, token: session["resume_token"])
        try again.send(text: #"{"type":"text","id":"b","text":"too soon"}"#)
        #expect(try JSON(try #require(again.frames().last?.text))["error"]["code"] == "rate_limited")
    }

    @Test func `a session is transferred to another event loop with its pending commit`() throws {
        let here = gateway()
        let there = LoopHarness(sharing: here)
        let (client, session, _) = try open(here)
        store.holdsBatches = true
        try client.send(text: text)
        let second = try there.connect()
        try second.send(
            EmbeddedConnection.request(path: "/v1/ws?last_seq=0", headers: "Parley-Resume: \(session["resume_token"].string ?? "")\r\n"))
        here.eventLoop.runPendingTasks()
        there.eventLoop.runPendingTasks()
        _ = try second.responseHead()
        #expect(try second.frames().isEmpty)
        store.commit()
        there.eventLoop.runPendingTasks()
        #expect(try second.frames().map { try JSON($0.text)["type"] } == ["session", "text"])
        store.commit()
        store.holdsBatches = false
        let after = gateway()
        #expect(after.shared.sessions.detached == 1)
    }

    @Test func `a session with inconsistent records isn't restored`() throws {
        let before = gateway()
        let (client, _, _) = try open(before)
        try client.send(text: text)
        var stored = try #require(store.load().first)
        stored.records[.state]?[0].bytes.removeLast(3)
        let after = LoopHarness(sharing: nil, store: TestStore())
        #expect(after.shard.sessions.restore([stored]) == 0)
        after.eventLoop.runPendingTasks()
        #expect(after.shared.sessions.detached == 0)
    }

    @Test func `restored sessions count toward the address that last used them`() throws {
        let before = gateway()
        for address in ["192.0.2.1", "192.0.2.1", "192.0.2.9"] {
            let connection = try before.connect(from: address)
            try connection.upgrade()
            try connection.send(text: text)
            before.eventLoop.runPendingTasks()
        }
        let after = LoopHarness(sharing: nil, store: TestStore()) { $0.sessions.maxDetached = 3 }
        #expect(after.shard.sessions.restore(store.load()) == 3)
        after.eventLoop.runPendingTasks()
        // The address with two sessions loses one of them; an address never loses its last session.
        for isServed in [true, false] {
            let newClient = try after.connect(from: "198.51.100.1")
            try newClient.send(EmbeddedConnection.request(path: "/v1/ws"))
            after.eventLoop.runPendingTasks()
            #expect(try newClient.responseHead().hasPrefix(isServed ? "HTTP/1.1 101 " : "HTTP/1.1 503 "))
            after.shared.sessions.limits.detached = 2
        }
        #expect(after.shared.sessions.detached == 2)
    }

    @Test(arguments: [3, 4] as [UInt8]) func `a session stored by a version without addresses or users is restored`(version: UInt8) throws {
        let before = gateway()
        let (client, _, _) = try open(before)
        try client.send(text: text)
        before.eventLoop.runPendingTasks()
        var stored = try #require(store.load().first)
        var state = try #require(stored.records[.state]?.first?.bytes)
        #expect(state[0] == 5)
        state[0] = version
        // The address has 17 bytes, the absent user four.
        state.removeSubrange(version == 3 ? 1..<22 : 18..<22)
        stored.records[.state]?[0].bytes = state
        let after = LoopHarness(sharing: nil, store: TestStore())
        #expect(after.shard.sessions.restore([stored]) == 1)
    }
}
