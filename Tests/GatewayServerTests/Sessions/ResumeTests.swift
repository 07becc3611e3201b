// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
import NIOEmbedded
import Support
import Testing

/// Resumption of sessions on one event loop and between event loops.
@Suite struct ResumeTests {
    private func text(_ id: String, _ text: String = "hello") -> String { #"{"type":"text","id":"\#(id)","text":"\#(text)"}"# }

    /// A connection and its `session` message.
    private struct Opened {
        let connection: EmbeddedConnection
        let session: JSON
        /// The frames after the `session` message.
        var frames: [EmbeddedConnection.Frame]

        var token: String { session["resume_token"].string ?? "" }
        var id: String { session["session_id"].string ?? "" }
    }

    private func open(
        _ harness: LoopHarness, token: String? = nil, last: String? = nil, inband: Bool = false, transferringFrom other: LoopHarness? = nil,
        from address: String = "192.0.2.1"
    ) throws -> Opened {
        let connection = try harness.connect(from: address)
        let path = "/v1/ws?" + (last.map { "last_seq=\($0)&" } ?? "") + (inband ? "errors=inband" : "")
        try connection.send(EmbeddedConnection.request(path: path, headers: token.map { "Parley-Resume: \($0)\r\n" } ?? ""))
        other?.eventLoop.runPendingTasks()
        harness.eventLoop.runPendingTasks()
        _ = try connection.responseHead()
        var frames = try connection.frames()
        let first = try #require(frames.first)
        frames.removeFirst()
        return Opened(connection: connection, session: try JSON(first.text), frames: frames)
    }

    private func disconnect(_ opened: Opened, of harness: LoopHarness) {
        _ = try? opened.connection.channel.finish()
        harness.eventLoop.runPendingTasks()
    }

    @Test func `a session outlives its connection and can be resumed`() throws {
        let harness = LoopHarness()
        let first = try open(harness)
        try first.connection.send(text: text("a"))
        #expect(try first.connection.frames().count == 2)
        disconnect(first, of: harness)
        #expect(harness.shared.sessions.attached == 0 && harness.shared.sessions.detached == 1)
        let second = try open(harness, token: first.token, last: "0")
        #expect(harness.shared.sessions.attached == 1 && harness.shared.sessions.detached == 0)
        #expect(second.id == first.id && second.token != first.token)
        #expect(second.session["resumed"] == .bool(true) && second.session["lost"] == .bool(false))
        #expect(second.session["last_seq"] == .number(1))
        #expect(second.frames.map(\.text) == [#"{"type":"text","seq":1,"reply_to":"a","text":"hello","final":true,"done":true}"#])
        try second.connection.send(text: text("a"))
        #expect(try second.connection.frames().map(\.text) == [#"{"type":"ack","id":"a","duplicate":true}"#])
        try second.connection.send(text: text("b"))
        #expect(try second.connection.frames().last?.text.contains(#""seq":2"#) == true)
    }

    @Test func `a request continues while detached, and its response is delivered on resumption`() throws {
        let harness = LoopHarness()
        let first = try open(harness)
        first.connection.channel.isWritable = false
        try first.connection.send(text: text("a", (1...500).map(String.init).joined(separator: " ")))
        disconnect(first, of: harness)
        harness.advance(by: .seconds(1))
        let second = try open(harness, token: first.token, last: "0")
        let response = try second.frames.map { try JSON($0.text) }
        #expect(response.map { $0["seq"].integer } == Array(1...500))
        #expect(response.compactMap { $0["text"].string }.joined().hasSuffix("499 500"))
        #expect(response.last?["done"] == .bool(true))
    }

    @Test func `a full outbox stops demand until a client reads`() throws {
        let harness = LoopHarness { $0.sessions.outboxMessages = 100 }
        let first = try open(harness)
        first.connection.channel.isWritable = false
        try first.connection.send(text: text("a", (1...500).map(String.init).joined(separator: " ")))
        disconnect(first, of: harness)
        harness.advance(by: .seconds(5))
        let second = try open(harness, token: first.token, last: "0")
        harness.advance(by: .seconds(1))
        #expect(second.session["lost"] == .bool(false) && second.session["last_seq"] == .number(100))
        let response = try (second.frames + second.connection.frames()).map { try JSON($0.text) }
        #expect(response.map { $0["seq"].integer } == Array(1...500))
    }

    @Test func `a second connection takes the session over, and the first is closed with 4503`() throws {
        let harness = LoopHarness()
        let first = try open(harness)
        try first.connection.send(text: text("a"))
        _ = try first.connection.frames()
        let second = try open(harness, token: first.token, last: "1")
        #expect(second.id == first.id && second.session["resumed"] == .bool(true) && second.frames.isEmpty)
        #expect(try first.connection.frames().map(\.closeCode) == [4503])
        // The first connection isn't read any more.
        try first.connection.send(text: text("b"))
        #expect(try first.connection.frames().isEmpty)
        disconnect(first, of: harness)
        try second.connection.send(text: text("b"))
        #expect(try second.connection.frames().map(\.text).first == #"{"type":"ack","id":"b"}"#)
        #expect(harness.shared.sessions.attached == 1 && harness.shared.sessions.detached == 0)
    }

    @Test func `a token stays valid until its successor is confirmed`() throws {
        let harness = LoopHarness()
        let first = try open(harness)
        let second = try open(harness, token: first.token)
        let third = try open(harness, token: first.token)
        #expect(third.id == first.id)
        #expect(try second.connection.frames().last?.closeCode == 4503)
        // The unconfirmed successor is invalid now.
        #expect(try open(harness, token: second.token).session["resume_error"].string == "unknown")
        try third.connection.send(text: #"{"type":"ack","seq":0}"#)
        #expect(try open(harness, token: first.token).session["resume_error"].string == "unknown")
        #expect(try open(harness, token: third.token).id == first.id)
    }

    @Test func `presenting the successor confirms it`() throws {
        let harness = LoopHarness()
        let first = try open(harness)
        let second = try open(harness, token: first.token)
        let third = try open(harness, token: second.token)
        #expect(third.id == first.id)
        #expect(try open(harness, token: first.token).session["resume_error"].string == "unknown")
        #expect(try open(harness, token: second.token).id == first.id)
    }

    @Test(arguments: ["never-given-out", "uib1BQ9Mpqk75LjzX2aUuib1BQ9Mpqk75LjzX2aUuib"])
    func `an unknown token opens a new session with resume_error unknown`(token: String) throws {
        let harness = LoopHarness()
        let opened = try open(harness, token: token, last: "5")
        #expect(opened.session["resumed"] == .bool(false) && opened.session["lost"] == .bool(true))
        #expect(opened.session["resume_error"].string == "unknown" && opened.session["last_seq"] == .number(0))
        try opened.connection.send(text: text("a"))
        #expect(try opened.connection.frames().count == 2)
    }

    @Test(arguments: ["2", "18446744073709551615", "-1", "x", ""])
    func `an invalid or too large last_seq opens a new session and leaves the old session attached`(last: String) throws {
        let harness = LoopHarness()
        let first = try open(harness)
        try first.connection.send(text: text("a"))
        _ = try first.connection.frames()
        let second = try open(harness, token: first.token, last: last)
        #expect(second.session["resume_error"].string == "bad_last_seq" && second.id != first.id)
        #expect(try first.connection.frames().isEmpty, "not taken over")
        #expect(try open(harness, token: first.token, last: "1").id == first.id)
    }

    @Test func `a session detached longer than the resume window is expired`() throws {
        let harness = LoopHarness { $0.sessions.resumeWindow = .seconds(10) }
        let first = try open(harness)
        disconnect(first, of: harness)
        harness.advance(by: .seconds(9))
        let second = try open(harness, token: first.token)
        #expect(second.id == first.id)
        disconnect(second, of: harness)
        harness.advance(by: .seconds(11))
        #expect(harness.shared.sessions.detached == 0)
        #expect(try open(harness, token: second.token).session["resume_error"].string == "expired")
    }

    @Test func `bye ends the session immediately`() throws {
        let harness = LoopHarness()
        let first = try open(harness)
        try first.connection.send(text: #"{"type":"bye"}"#)
        #expect(try first.connection.frames().last?.closeCode == 1000)
        #expect(harness.shared.sessions.attached == 0 && harness.shared.sessions.detached == 0)
        #expect(try open(harness, token: first.token).session["resume_error"].string == "expired")
    }

    @Test func `a close frame without bye keeps the session`() throws {
        let harness = LoopHarness()
        let first = try open(harness)
        try first.connection.send(frame: 0x88, [0x03, 0xE8])
        #expect(harness.shared.sessions.detached == 1)
        #expect(try open(harness, token: first.token).id == first.id)
    }

    @Test func `a client whose connection was closed for a missed heartbeat can resume`() throws {
        let harness = LoopHarness { $0.heartbeat.staleAfter = .seconds(45) }
        let first = try open(harness)
        harness.advance(by: .seconds(46))
        #expect(try first.connection.frames().last?.closeCode == 4001)
        #expect(try open(harness, token: first.token).id == first.id)
    }

    @Test func `a client whose session ended due to violations can't resume`() throws {
        let harness = LoopHarness { $0.messages.maxViolations = 1 }
        let first = try open(harness)
        for _ in 0..<2 { try first.connection.send(text: "{") }
        #expect(try first.connection.frames().last?.closeCode == 4505)
        #expect(try open(harness, token: first.token).session["resume_error"].string == "expired")
    }

    @Test func `an open audio stream is reported on resumption and continues`() throws {
        let harness = LoopHarness()
        let first = try open(harness)
        try first.connection.send(text: #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":1}}"#)
        for _ in 0..<3 { try first.connection.send(binary: [0, 0]) }
        disconnect(first, of: harness)
        let second = try open(harness, token: first.token, last: "0")
        let stream = second.session["open_audio"]
        #expect(stream["id"].string == "u1" && stream["chunks"] == .number(3))
        try second.connection.send(text: #"{"type":"audio","id":"u1","from":4}"#)
        try second.connection.send(binary: [0, 0])
        try second.connection.send(text: #"{"type":"audio","id":"u1","final":true}"#)
        let frames = try second.connection.frames().map(\.text)
        #expect(frames.first == #"{"type":"ack","id":"u1","chunks":3}"#)
        #expect(frames.contains(#"{"type":"ack","id":"u1","chunks":4}"#))
        #expect(frames.last?.contains(#""type":"transcript""#) == true)
    }

    @Test func `sessions.max counts attached sessions`() throws {
        let harness = LoopHarness { $0.sessions.max = 1 }
        let first = try open(harness)
        let rejected = try harness.connect()
        try rejected.send(EmbeddedConnection.request(path: "/v1/ws"))
        #expect(try rejected.responseHead().hasPrefix("HTTP/1.1 503 "))
        #expect(harness.shared.connectionLimits.webSockets == 1)
        // A takeover doesn't count as another session.
        let second = try open(harness, token: first.token)
        disconnect(second, of: harness)
        let other = try open(harness)
        #expect(try open(harness, token: second.token, inband: true).session["type"].string == "error")
        disconnect(other, of: harness)
        #expect(try open(harness, token: second.token).id == first.id)
    }

    @Test func `at sessions.max_detached a new session displaces a detached one of its own address only`() throws {
        let harness = LoopHarness { $0.sessions.maxDetached = 1 }
        let (first, second) = (try open(harness), try open(harness))
        try first.connection.send(text: text("a"))
        disconnect(first, of: harness)
        let rejected = try harness.connect(from: "192.0.2.9")
        try rejected.send(EmbeddedConnection.request(path: "/v1/ws"))
        #expect(try rejected.responseHead().hasPrefix("HTTP/1.1 503 "))
        try second.connection.send(text: text("a"))
        disconnect(second, of: harness)
        #expect(harness.shared.sessions.detached == 1)
        #expect(try open(harness, token: first.token).session["resume_error"].string == "expired")
        #expect(try open(harness, token: second.token).session["resume_error"].string == "expired", "displaced by the new session")
    }

    @Test func `an address with many detached sessions neither blocks other addresses nor displaces their sessions`() throws {
        let harness = LoopHarness { $0.sessions.maxDetached = 4 }
        let bystander = try open(harness, from: "192.0.2.9")
        try bystander.connection.send(text: text("a"))
        disconnect(bystander, of: harness)
        var held: [Opened] = []
        for _ in 0..<10 {
            let opened = try open(harness)
            try opened.connection.send(text: text("a"))
            held.append(opened)
        }
        for opened in held { disconnect(opened, of: harness) }
        #expect(harness.shared.sessions.detached == 4)
        let other = try open(harness, from: "198.51.100.1")
        #expect(other.session["type"].string == "session")
        #expect(try open(harness, token: bystander.token, last: "1", from: "192.0.2.9").id == bystander.id)
        #expect(try open(harness, token: held[9].token).id == held[9].id)
        #expect(try open(harness, token: held[0].token).session["resume_error"].string == "expired")
    }

    @Test func `an unused detached session doesn't block new sessions`() throws {
        let harness = LoopHarness { $0.sessions.maxDetached = 1 }
        let first = try open(harness)
        disconnect(first, of: harness)
        _ = try open(harness)
        #expect(harness.shared.sessions.detached == 0)
        #expect(try open(harness, token: first.token).session["resume_error"].string == "expired")
    }

    // MARK: Two event loops

    @Test func `a session is transferred to the event loop of its new connection`() throws {
        let (here, there) = twoLoops()
        let first = try open(here)
        try first.connection.send(text: text("a", (1...100).map(String.init).joined(separator: " ")))
        _ = try first.connection.frames()
        try first.connection.send(text: #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":1}}"#)
        _ = try first.connection.frames()
        let second = try open(there, token: first.token, last: "60", transferringFrom: here)
        #expect(second.id == first.id && second.session["resumed"] == .bool(true))
        #expect(try second.frames.map { try JSON($0.text)["seq"].integer } == Array(61...100))
        here.eventLoop.runPendingTasks()
        #expect(try first.connection.frames().map(\.closeCode) == [4503])
        #expect(here.shared.sessions.attached == 1 && here.shared.sessions.detached == 0)
        // The open audio stream continues on the other loop.
        try second.connection.send(text: #"{"type":"audio","id":"u1","from":1}"#)
        try second.connection.send(binary: [0, 0])
        try second.connection.send(text: #"{"type":"audio","id":"u1","final":true}"#)
        #expect(try second.connection.frames().last?.text.contains(#""type":"transcript","seq":101"#) == true)
        // The session is transferred back.
        let third = try open(here, token: second.token, last: "101", transferringFrom: there)
        #expect(third.id == first.id && third.frames.isEmpty)
    }

    @Test func `a session keeps its deadlines when transferred to a loop that was suspended`() throws {
        let (here, there) = twoLoops()
        // The second loop was suspended for an hour: its clock is behind.
        there.loop.clock.manual? += Duration.seconds(3600).clampedNanoseconds
        there.shard.tick()
        here.advance(by: .seconds(3600))
        let first = try open(here)
        disconnect(first, of: here)
        let second = try open(there, token: first.token, transferringFrom: here)
        #expect(second.id == first.id)
        disconnect(second, of: there)
        there.advance(by: .seconds(119))
        #expect(here.shared.sessions.detached == 1)
        there.advance(by: .seconds(2))
        #expect(here.shared.sessions.detached == 0)
    }

    @Test func `a session can be resumed after its connection closed during the transfer`() throws {
        let (here, there) = twoLoops()
        let first = try open(here)
        disconnect(first, of: here)
        let closed = try there.connect()
        try closed.channel.writeInbound(
            ByteBuffer(string: EmbeddedConnection.request(path: "/v1/ws", headers: "Parley-Resume: \(first.token)\r\n")))
        here.eventLoop.runPendingTasks()
        _ = try? closed.channel.finish()
        there.eventLoop.runPendingTasks()
        #expect(here.shared.sessions.attached == 0 && here.shared.sessions.detached == 1)
        #expect(try open(here, token: first.token, transferringFrom: there).id == first.id)
    }

    @Test func `bytes received during the transfer of the session aren't lost`() throws {
        let (here, there) = twoLoops()
        let first = try open(here)
        let second = try there.connect()
        let request = EmbeddedConnection.request(path: "/v1/ws", headers: "Parley-Resume: \(first.token)\r\n")
        try second.channel.writeInbound(ByteBuffer(string: request))
        try second.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x81, Array(#"{"type":"ping","id":"p"}"#.utf8))))
        here.eventLoop.runPendingTasks()
        there.eventLoop.runPendingTasks()
        _ = try second.responseHead()
        #expect(try second.frames().last?.text.hasPrefix(#"{"type":"pong","id":"p""#) == true)
    }

    @Test func `the session that has been detached longest is displaced, whichever event loop has it`() throws {
        let (here, there) = twoLoops { $0.sessions.maxDetached = 2 }
        let first = try open(here)
        let (second, third) = (try open(there), try open(there))
        for opened in [first, second, third] { try opened.connection.send(text: text("a")) }
        disconnect(first, of: here)
        disconnect(second, of: there)
        disconnect(third, of: there)
        here.eventLoop.runPendingTasks()
        #expect(here.shared.sessions.detached == 2)
        #expect(try open(there, token: second.token, transferringFrom: here).id == second.id)
        #expect(try open(there, token: first.token, transferringFrom: here).session["resume_error"].string == "expired")
    }

    @Test func `several resume requests during a transfer to their loop all take the session over, in order`() throws {
        let (here, there) = twoLoops()
        let first = try open(here)
        let request = EmbeddedConnection.request(path: "/v1/ws", headers: "Parley-Resume: \(first.token)\r\n")
        let resuming = try (0..<3).map { _ in try there.connect() }
        // The first connection requests the session from this loop; the others request it during the transfer.
        try resuming[0].channel.writeInbound(ByteBuffer(string: request))
        here.eventLoop.runPendingTasks()
        for connection in resuming.dropFirst() { try connection.channel.writeInbound(ByteBuffer(string: request)) }
        there.eventLoop.runPendingTasks()
        here.eventLoop.runPendingTasks()
        for (index, connection) in resuming.enumerated() {
            #expect(try connection.responseHead().hasPrefix("HTTP/1.1 101 "))
            let frames = try connection.frames()
            #expect(try JSON(try #require(frames.first).text)["session_id"].string == first.id)
            #expect(frames.last?.closeCode == (index < 2 ? 4503 : nil))
        }
        #expect(here.shared.sessions.attached == 1)
    }

    @Test func `a resume request on a third loop waits for a transfer in progress`() throws {
        let (here, there) = twoLoops()
        let elsewhere = LoopHarness(sharing: here)
        let first = try open(here)
        let request = EmbeddedConnection.request(path: "/v1/ws", headers: "Parley-Resume: \(first.token)\r\n")
        let (second, third) = (try there.connect(), try elsewhere.connect())
        try second.channel.writeInbound(ByteBuffer(string: request))
        here.eventLoop.runPendingTasks()
        // During the transfer to the second loop, a connection on the third loop requests the session from the second.
        try third.channel.writeInbound(ByteBuffer(string: request))
        for _ in 0..<3 { for harness in [there, elsewhere, here] { harness.eventLoop.runPendingTasks() } }
        _ = try third.responseHead()
        #expect(try JSON(try #require(third.frames().first).text)["session_id"].string == first.id)
        _ = try second.responseHead()
        #expect(try second.frames().last?.closeCode == 4503)
    }

    @Test func `when connections close during a transfer, the remaining connection gets the session`() throws {
        let (here, there) = twoLoops()
        let first = try open(here)
        let request = EmbeddedConnection.request(path: "/v1/ws", headers: "Parley-Resume: \(first.token)\r\n")
        let resuming = try (0..<3).map { _ in try there.connect() }
        try resuming[0].channel.writeInbound(ByteBuffer(string: request))
        here.eventLoop.runPendingTasks()
        for connection in resuming.dropFirst() { try connection.channel.writeInbound(ByteBuffer(string: request)) }
        for connection in resuming.prefix(2) { _ = try? connection.channel.finish() }
        there.eventLoop.runPendingTasks()
        _ = try resuming[2].responseHead()
        #expect(try JSON(try #require(resuming[2].frames().first).text)["session_id"].string == first.id)
        #expect(here.shared.sessions.attached == 1 && here.shared.sessions.detached == 0)
    }

    private func twoLoops(_ change: (inout GatewayConfiguration) -> Void = { _ in }) -> (LoopHarness, LoopHarness) {
        let here = LoopHarness(change)
        return (here, LoopHarness(sharing: here))
    }
}
