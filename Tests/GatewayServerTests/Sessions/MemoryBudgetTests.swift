// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
import NIOEmbedded
import Support
import Testing

/// Memory reclaim near `sessions.total_memory_budget`.
@Suite struct MemoryBudgetTests {
    private func text(_ id: String, _ count: Int) -> String {
        #"{"type":"text","id":"\#(id)","text":"\#(String(repeating: "x", count: count))"}"#
    }

    private func open(_ harness: LoopHarness, from address: String = "192.0.2.1", token: String? = nil) throws -> (EmbeddedConnection, JSON)
    {
        let connection = try harness.connect(from: address)
        try connection.send(EmbeddedConnection.request(path: "/v1/ws", headers: token.map { "Parley-Resume: \($0)\r\n" } ?? ""))
        harness.eventLoop.runPendingTasks()
        let head = try connection.responseHead()
        guard head.hasPrefix("HTTP/1.1 101 ") else { throw TestFailure(head) }
        return (connection, try JSON(try #require(connection.frames().first).text))
    }

    private func disconnect(_ connection: EmbeddedConnection, of harness: LoopHarness) {
        _ = try? connection.channel.finish()
        harness.eventLoop.runPendingTasks()
    }

    /// Opens a session, fills its outbox with a large response, and detaches it.
    @discardableResult
    private func openAndDetach(_ harness: LoopHarness, from address: String, _ count: Int) throws -> JSON {
        let (connection, session) = try open(harness, from: address)
        try connection.send(text: text("a", count))
        _ = try connection.frames()
        disconnect(connection, of: harness)
        // Reclaims are at least 10 ms apart.
        harness.advance(by: .milliseconds(100))
        return session
    }

    private func errors(_ connection: EmbeddedConnection) throws -> [JSON] {
        try connection.frames().filter { $0.opcode == 1 }.map { try JSON($0.text)["error"] }.filter { !$0.isNull }
    }

    @Test func `at the budget new requests are rejected while control messages and acknowledgements still work`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 300_000
            $0.sessions.historyBytes = 0
        }
        let (client, _) = try open(harness)
        var rejected: JSON = nil
        var number = 0
        while rejected.isNull, number < 20 {
            number += 1
            try client.send(text: text("m\(number)", 50_000))
            rejected = try errors(client).first ?? rejected
        }
        #expect(rejected["code"] == "overloaded" && rejected["retryable"] == true && rejected["retry_after_ms"] == 1000)
        #expect(rejected["reply_to"] == .string("m\(number)") && rejected["fatal"] == false)
        #expect((4...6).contains(number), "\(number)")
        try client.send(text: #"{"type":"audio","id":"u","format":{"codec":"pcm16","rate":16000}}"#)
        #expect(try errors(client).map { $0["code"].string } == ["overloaded"])
        try client.send(text: #"{"type":"ping"}"#)
        #expect(try client.frames().last?.text.contains("pong") == true)
        try client.send(text: #"{"type":"ack","seq":\#(number - 1)}"#)
        try client.send(text: text("m\(number)", 50_000))
        #expect(try errors(client).isEmpty)
    }

    @Test func `rejections for lack of memory don't count against the client's limit`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 100_000
            $0.sessions.historyBytes = 0
            $0.limits.refusalsPerMinute = 3
        }
        let (client, _) = try open(harness)
        for number in 0..<4 { try client.send(text: text("m\(number)", 60_000)) }
        _ = try client.frames()
        for number in 0..<20 { try client.send(text: text("n\(number)", 100)) }
        let frames = try client.frames()
        #expect(frames.count == 20 && frames.allSatisfy { $0.closeCode == nil })
    }

    @Test func `detached sessions of a flooding address are ended before other addresses lose history`() throws {
        let harness = LoopHarness { $0.sessions.totalMemoryBudget = 1_000_000 }
        let other = try openAndDetach(harness, from: "192.0.2.9", 5000)
        let (bystander, _) = try open(harness, from: "198.51.100.1")
        try bystander.send(text: text("a", 2000))
        for _ in 0..<40 { try openAndDetach(harness, from: "192.0.2.1", 98_000) }
        let (resumed, session) = try open(harness, from: "192.0.2.9", token: other["resume_token"].string)
        #expect(session["session_id"] == other["session_id"] && session["resumed"] == true && session["last_seq"] == 1)
        disconnect(resumed, of: harness)
        _ = try bystander.frames()
        try bystander.send(text: #"{"type":"status","id":"s"}"#)
        let report = try JSON(try #require(bystander.frames().last).text)
        #expect(report["memory"]["history"].integer ?? 0 > 2000, "its history was cut")
        #expect(harness.shared.memoryBytes < 1_000_000)
    }

    @Test func `memory for new sessions is reclaimed from an address with several detached sessions`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 1_000_000
            $0.sessions.historyBytes = 0
        }
        for _ in 0..<9 { try openAndDetach(harness, from: "192.0.2.1", 98_000) }
        try openAndDetach(harness, from: "192.0.2.1", 30_000)
        #expect(harness.shared.memoryBytes > 850_000)
        for _ in 0..<3 { try openAndDetach(harness, from: "192.0.2.9", 40_000) }
        #expect(harness.shared.sessions.detached < 13)
        #expect(try open(harness, from: "198.51.100.1").1["type"] == "session")
    }

    @Test func `a new session is rejected when no memory can be reclaimed, also in-band`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 100_000
            $0.sessions.historyBytes = 0
        }
        let (client, _) = try open(harness)
        try client.send(text: text("a", 95_000))
        let rejected = try harness.connect()
        try rejected.send(EmbeddedConnection.request(path: "/v1/ws"))
        #expect(try rejected.responseHead().hasPrefix("HTTP/1.1 503 "))
        harness.advance(by: .seconds(1))
        let inband = try harness.connect()
        try inband.send(EmbeddedConnection.request(path: "/v1/ws?errors=inband"))
        _ = try inband.responseHead()
        #expect(try inband.frames().last?.closeCode == 1013)
        harness.advance(by: .seconds(1))
        // An unknown token opens no new session either.
        let unknown = try harness.connect()
        try unknown.send(EmbeddedConnection.request(path: "/v1/ws", headers: "Parley-Resume: unknown\r\n"))
        #expect(try unknown.responseHead().hasPrefix("HTTP/1.1 503 "))
        #expect(harness.shared.connectionLimits.webSockets == 1)
        try client.send(text: #"{"type":"ack","seq":1}"#)
        harness.advance(by: .seconds(1))
        #expect(try open(harness).1["type"] == "session")
    }

    @Test func `memory is reclaimed on all event loops, the largest history first`() throws {
        let here = LoopHarness { $0.sessions.totalMemoryBudget = 400_000 }
        let there = LoopHarness(sharing: here) { $0.sessions.totalMemoryBudget = 400_000 }
        func history(_ connection: EmbeddedConnection) throws -> Int {
            _ = try connection.frames()
            try connection.send(text: #"{"type":"status","id":"s"}"#)
            return try JSON(try #require(connection.frames().last).text)["memory"]["history"].integer ?? -1
        }
        func advance() { for _ in 0..<3 { for harness in [here, there] { harness.advance(by: .milliseconds(1100)) } } }
        let (small, large) = (try open(here).0, try open(there).0)
        try small.send(text: text("a", 20_000))
        try large.send(text: text("a", 80_000))
        advance()
        #expect(try history(small) > 40_000 && history(large) > 160_000, "below 90 %")
        let middle = try open(here).0
        try middle.send(text: text("a", 25_000))
        advance()
        #expect(try history(large) < 20_000)
        #expect(try history(small) > 40_000 && history(middle) > 50_000, "the largest was enough")
    }

    @Test func `beyond the overhead the largest session of the address that uses most is closed with 4506`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 1_000_000
            $0.sessions.memoryBudget = 0
            $0.websocket.maxMessageBytes = 30_000_000
        }
        let (other, _) = try open(harness, from: "192.0.2.9")
        try other.send(text: text("a", 1000))
        let (first, second) = (try open(harness).0, try open(harness).0)
        try first.send(text: text("a", 1000))
        // An incomplete message isn't a new request, but it uses memory.
        try second.send([0x01, 0xFF, 0, 0, 0, 0, 0x01, 0x40, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0x20, count: 18_500_000))
        harness.advance(by: .milliseconds(1100))
        let frames = try second.frames()
        #expect(frames.last?.closeCode == 4506)
        #expect(frames.contains { $0.text.contains(#""code":"memory_limit""#) && $0.text.contains(#""fatal":true"#) })
        for survivor in [other, first] { #expect(try survivor.frames().allSatisfy { $0.closeCode == nil }) }
        harness.advance(by: .milliseconds(1100))
        try other.send(text: text("b", 1000))
        #expect(try errors(other).isEmpty)
    }

    @Test func `the memory usage of sessions is counted exactly and is zero after they end`() throws {
        let harness = LoopHarness()
        for round in 0..<5 {
            let (client, session) = try open(harness)
            try client.send(text: text("a", 90_000))
            #expect(harness.shared.memoryBytes > 90_000)
            if round.isMultiple(of: 2) { disconnect(client, of: harness) }
            let again = round.isMultiple(of: 2) ? try open(harness, token: session["resume_token"].string).0 : client
            try again.send(text: #"{"type":"bye"}"#)
            disconnect(again, of: harness)
            harness.advance(by: .milliseconds(1100))
            #expect(harness.shared.memoryBytes == 0)
        }
    }
}
