import GatewayCore
import GatewayServer
import NIOCore
import NIOEmbedded
import Support
import Testing

/// Sessions that come near `sessions.total_memory_budget`.
@Suite struct MemoryBudgetTests {
    private func text(_ id: String, _ count: Int) -> String {
        #"{"type":"text","id":"\#(id)","text":"\#(String(repeating: "x", count: count))"}"#
    }

    private func open(_ harness: LoopHarness, from address: String = "192.0.2.1", token: String? = nil) throws -> (EmbeddedConnection, JSON)
    {
        let connection = try harness.connect(from: address)
        try connection.send(EmbeddedConnection.request(path: "/v1/ws", headers: token.map { "Parley-Resume: \($0)\r\n" } ?? ""))
        harness.eventLoop.settle()
        let head = try connection.responseHead()
        guard head.hasPrefix("HTTP/1.1 101 ") else { throw TestFailure(head) }
        return (connection, try JSON(try #require(connection.frames().first).text))
    }

    private func drop(_ connection: EmbeddedConnection, of harness: LoopHarness) {
        _ = try? connection.channel.finish()
        harness.eventLoop.settle()
    }

    /// A session with a large unacknowledged answer, left behind.
    @discardableResult
    private func leave(_ harness: LoopHarness, from address: String, _ count: Int) throws -> JSON {
        let (connection, session) = try open(harness, from: address)
        try connection.send(text: text("a", count))
        _ = try connection.frames()
        drop(connection, of: harness)
        // Memory isn't looked for twice in 10 ms.
        harness.advance(by: .milliseconds(100))
        return session
    }

    private func errors(_ connection: EmbeddedConnection) throws -> [JSON] {
        try connection.frames().filter { $0.opcode == 1 }.map { try JSON($0.text)["error"] }.filter { !$0.isNull }
    }

    @Test func `at the budget new work is refused, and the connection, control messages and acknowledgements go on`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 300_000
            $0.sessions.historyBytes = 0
        }
        let (client, _) = try open(harness)
        var refused: JSON = nil
        var number = 0
        while refused.isNull, number < 20 {
            number += 1
            try client.send(text: text("m\(number)", 50_000))
            refused = try errors(client).first ?? refused
        }
        #expect(refused["code"] == "overloaded" && refused["retryable"] == true && refused["retry_after_ms"] == 1000)
        #expect(refused["reply_to"] == .string("m\(number)") && refused["fatal"] == false)
        #expect((4...6).contains(number), "\(number)")
        try client.send(text: #"{"type":"audio","id":"u","format":{"codec":"pcm16","rate":16000}}"#)
        #expect(try errors(client).map { $0["code"].string } == ["overloaded"])
        try client.send(text: #"{"type":"ping"}"#)
        #expect(try client.frames().last?.text.contains("pong") == true)
        try client.send(text: #"{"type":"ack","seq":\#(number - 1)}"#)
        try client.send(text: text("m\(number)", 50_000))
        #expect(try errors(client).isEmpty)
    }

    @Test func `refusals for lack of memory aren't held against the client`() throws {
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

    @Test func `a flood from one address that is left behind ends before a stranger loses a word`() throws {
        let harness = LoopHarness { $0.sessions.totalMemoryBudget = 1_000_000 }
        let stranger = try leave(harness, from: "192.0.2.9", 5000)
        let (witness, _) = try open(harness, from: "198.51.100.1")
        try witness.send(text: text("a", 2000))
        for _ in 0..<40 { try leave(harness, from: "192.0.2.1", 98_000) }
        let (resumed, session) = try open(harness, from: "192.0.2.9", token: stranger["resume_token"].string)
        #expect(session["session_id"] == stranger["session_id"] && session["resumed"] == true && session["last_seq"] == 1)
        drop(resumed, of: harness)
        _ = try witness.frames()
        try witness.send(text: #"{"type":"status","id":"s"}"#)
        let report = try JSON(try #require(witness.frames().last).text)
        #expect(report["memory"]["history"].integer ?? 0 > 2000, "its history was cut")
        #expect(harness.shared.memoryBytes < 1_000_000)
    }

    @Test func `newcomers get the memory of an address with several waiting sessions`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 1_000_000
            $0.sessions.historyBytes = 0
        }
        for _ in 0..<9 { try leave(harness, from: "192.0.2.1", 98_000) }
        try leave(harness, from: "192.0.2.1", 30_000)
        #expect(harness.shared.memoryBytes > 850_000)
        for _ in 0..<3 { try leave(harness, from: "192.0.2.9", 40_000) }
        #expect(harness.shared.sessions.detached < 13)
        #expect(try open(harness, from: "198.51.100.1").1["type"] == "session")
    }

    @Test func `a newcomer is refused where nothing can be freed, in band as well`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 100_000
            $0.sessions.historyBytes = 0
        }
        let (client, _) = try open(harness)
        try client.send(text: text("a", 95_000))
        let refused = try harness.connect()
        try refused.send(EmbeddedConnection.request(path: "/v1/ws"))
        #expect(try refused.responseHead().hasPrefix("HTTP/1.1 503 "))
        harness.advance(by: .seconds(1))
        let inband = try harness.connect()
        try inband.send(EmbeddedConnection.request(path: "/v1/ws?errors=inband"))
        _ = try inband.responseHead()
        #expect(try inband.frames().last?.closeCode == 1013)
        harness.advance(by: .seconds(1))
        // A token that leads nowhere opens no new session either.
        let unknown = try harness.connect()
        try unknown.send(EmbeddedConnection.request(path: "/v1/ws", headers: "Parley-Resume: unknown\r\n"))
        #expect(try unknown.responseHead().hasPrefix("HTTP/1.1 503 "))
        #expect(harness.shared.connectionLimits.webSockets == 1)
        try client.send(text: #"{"type":"ack","seq":1}"#)
        harness.advance(by: .seconds(1))
        #expect(try open(harness).1["type"] == "session")
    }

    @Test func `memory is found on all event loops, the largest history first`() throws {
        let here = LoopHarness { $0.sessions.totalMemoryBudget = 400_000 }
        let there = LoopHarness(beside: here) { $0.sessions.totalMemoryBudget = 400_000 }
        func history(_ connection: EmbeddedConnection) throws -> Int {
            _ = try connection.frames()
            try connection.send(text: #"{"type":"status","id":"s"}"#)
            return try JSON(try #require(connection.frames().last).text)["memory"]["history"].integer ?? -1
        }
        func pass() { for _ in 0..<3 { for harness in [here, there] { harness.advance(by: .milliseconds(1100)) } } }
        let (small, large) = (try open(here).0, try open(there).0)
        try small.send(text: text("a", 20_000))
        try large.send(text: text("a", 80_000))
        pass()
        #expect(try history(small) > 40_000 && history(large) > 160_000, "below 90 %")
        let middle = try open(here).0
        try middle.send(text: text("a", 25_000))
        pass()
        #expect(try history(large) < 20_000)
        #expect(try history(small) > 40_000 && history(middle) > 50_000, "the largest was enough")
    }

    @Test func `past the overhead the largest session of the address that holds most is closed with 4506`() throws {
        let harness = LoopHarness {
            $0.sessions.totalMemoryBudget = 1_000_000
            $0.sessions.memoryBudget = 0
            $0.websocket.maxMessageBytes = 30_000_000
        }
        let (stranger, _) = try open(harness, from: "192.0.2.9")
        try stranger.send(text: text("a", 1000))
        let (first, second) = (try open(harness).0, try open(harness).0)
        try first.send(text: text("a", 1000))
        // A message that never ends isn't new work, but it is memory.
        try second.send([0x01, 0xFF, 0, 0, 0, 0, 0x01, 0x40, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0x20, count: 18_500_000))
        harness.advance(by: .milliseconds(1100))
        let frames = try second.frames()
        #expect(frames.last?.closeCode == 4506)
        #expect(frames.contains { $0.text.contains(#""code":"memory_limit""#) && $0.text.contains(#""fatal":true"#) })
        for survivor in [stranger, first] { #expect(try survivor.frames().allSatisfy { $0.closeCode == nil }) }
        harness.advance(by: .milliseconds(1100))
        try stranger.send(text: text("b", 1000))
        #expect(try errors(stranger).isEmpty)
    }

    @Test func `what sessions hold is counted as they hold it, and nothing is left over when they end`() throws {
        let harness = LoopHarness()
        for round in 0..<5 {
            let (client, session) = try open(harness)
            try client.send(text: text("a", 90_000))
            #expect(harness.shared.memoryBytes > 90_000)
            if round.isMultiple(of: 2) { drop(client, of: harness) }
            let again = round.isMultiple(of: 2) ? try open(harness, token: session["resume_token"].string).0 : client
            try again.send(text: #"{"type":"bye"}"#)
            drop(again, of: harness)
            harness.advance(by: .milliseconds(1100))
            #expect(harness.shared.memoryBytes == 0)
        }
    }
}
