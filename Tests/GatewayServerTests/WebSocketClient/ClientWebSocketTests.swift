import NIOHTTP1
import Testing

@testable import GatewayServer

@Suite struct ClientWebSocketTests {
    private static func frame(_ opcode: UInt8, _ payload: String) -> [UInt8] {
        [0x80 | opcode, UInt8(payload.utf8.count)] + Array(payload.utf8)
    }

    /// The payload of a masked frame of less than 126 bytes, and its opcode.
    private static func unmask(_ frame: [UInt8]) throws -> (opcode: UInt8, payload: [UInt8]) {
        try #require(frame.count >= 6 && frame[1] & 0x80 != 0)
        let key = Array(frame[2..<6])
        return (frame[0] & 0x0F, frame[6...].enumerated().map { $1 ^ key[$0 % 4] })
    }

    @Test func `messages in the same write as the answer are received in order`() async throws {
        let server = try CannedServer(
            upgrading: Self.frame(1, "one") + [0x01, 1, 0x74] + Self.frame(9, "") + Self.frame(0, "wo") + Self.frame(2, "three"))
        let client = try await ClientWebSocket.connect(to: server.url, options: .patient)
        #expect(client.tls == nil)
        #expect(await client.next() == .text("one"))
        #expect(await client.next() == .text("two"))
        #expect(await client.next() == .binary(Array("three".utf8)))
        #expect(await client.next(within: .zero) == nil)
        client.abort()
        try await server.stop()
    }

    @Test func `messages are masked, and pings are answered`() async throws {
        let server = try CannedServer(upgrading: Self.frame(9, "are you there"))
        let client = try await ClientWebSocket.connect(to: server.url, options: .patient)
        let pong = try Self.unmask(await server.receive(6 + 13))
        #expect(pong.opcode == 0xA)
        #expect(pong.payload == Array("are you there".utf8))
        try await client.send(text: "hello")
        let hello = try Self.unmask(await server.receive(6 + 5))
        #expect(hello.opcode == 1)
        #expect(hello.payload == Array("hello".utf8))
        try await client.sendRaw([1, 2, 3])
        #expect(await server.receive(3) == [1, 2, 3])
        client.abort()
        try await server.stop()
    }

    @Test func `a client may be told not to answer pings, and to report them`() async throws {
        var options = ClientWebSocketOptions.patient
        options.answersPings = false
        options.reportsPings = true
        let server = try CannedServer(upgrading: Self.frame(9, "p"))
        let client = try await ClientWebSocket.connect(to: server.url, options: options)
        #expect(await client.next() == .ping([0x70]))
        try await client.sendRaw([7])
        #expect(await server.receive(1) == [7])
        client.abort()
        try await server.stop()
    }

    @Test func `the gateway's close frame is answered with its code, and is the end`() async throws {
        let server = try CannedServer(upgrading: Self.frame(1, "last") + [0x88, 5, 0x0F, 0xA1, 0x61, 0x62, 0x63] + Self.frame(1, "late"))
        let client = try await ClientWebSocket.connect(to: server.url, options: .patient)
        var events: [ClientEvent] = []
        for await event in client.events { events.append(event) }
        #expect(events == [.text("last"), .closed(ClientClosing(code: 4001, reason: "abc"))])
        #expect(await client.next() == .closed(ClientClosing(code: 4001, reason: "abc")))
        #expect(try Self.unmask(await server.receive(8)).payload == [0x0F, 0xA1])
        await #expect(throws: ClientWebSocketError.self) { try await client.send(text: "too late") }
        try await server.stop()
    }

    @Test func `our close frame is answered`() async throws {
        let server = try CannedServer(upgrading: [])
        let client = try await ClientWebSocket.connect(to: server.url, options: .patient)
        client.close(code: 3999, reason: "done")
        let close = try Self.unmask(await server.receive(12))
        #expect(close.opcode == 8)
        #expect(close.payload == [0x0F, 0x9F] + Array("done".utf8))
        server.send([0x88, 0])
        #expect(await client.next() == .closed(ClientClosing(code: ClientClosing.noCode)))
        try await server.stop()
    }

    @Test func `a gateway that doesn't answer our close frame is left`() async throws {
        var options = ClientWebSocketOptions.patient
        options.closeTimeout = .milliseconds(20)
        let server = try CannedServer(upgrading: [])
        let client = try await ClientWebSocket.connect(to: server.url, options: options)
        client.close()
        #expect(await client.next() == .closed(.lost("the gateway didn't send a close frame in time")))
        await client.waitForEnd()
        try await server.stop()
    }

    @Test func `an end without a close frame is told apart`() async throws {
        let server = try CannedServer(upgrading: Self.frame(1, "x"))
        let client = try await ClientWebSocket.connect(to: server.url, options: .patient)
        #expect(await client.next() == .text("x"))
        server.close()
        #expect(await client.next() == .closed(.lost("the gateway closed the connection without a close frame")))
        try await server.stop()
    }

    @Test(arguments: [[0x81, 0x80, 1, 2, 3, 4], [0xC1, 0], [0x83, 0], [0x81, 1, 0xFF]] as [[UInt8]])
    func `broken frames end the connection with a close frame of ours`(frame: [UInt8]) async throws {
        let server = try CannedServer(upgrading: frame)
        let client = try await ClientWebSocket.connect(to: server.url, options: .patient)
        guard case .closed(let closing) = await client.next() else {
            Issue.record("no end")
            return
        }
        #expect(closing.code == ClientClosing.abnormal)
        #expect(closing.failure?.hasPrefix("the gateway violated the WebSocket protocol") == true)
        let close = try Self.unmask(await server.receive(8))
        #expect(close.opcode == 8)
        try await server.stop()
    }

    @Test func `a message over the limit ends the connection before it is kept`() async throws {
        var options = ClientWebSocketOptions.patient
        options.maxMessageBytes = 4
        let server = try CannedServer(upgrading: Self.frame(1, "four") + Self.frame(1, "fiver"))
        let client = try await ClientWebSocket.connect(to: server.url, options: options)
        #expect(await client.next() == .text("four"))
        guard case .closed(let closing) = await client.next() else {
            Issue.record("no end")
            return
        }
        #expect(closing.failure?.contains("over the limit") == true)
        try await server.stop()
    }

    @Test func `a refusal is told with status, fields and problem`() async throws {
        let body = #"{"code":"session_limit","detail":"No room.","correlation_id":"01K"}"#
        let server = try CannedServer { _, _ in
            Array("HTTP/1.1 503 Service Unavailable\r\nContent-Length: \(body.utf8.count)\r\nRetry-After: 5\r\n\r\n\(body)".utf8)
        }
        do {
            _ = try await ClientWebSocket.connect(to: server.url, options: .patient)
            Issue.record("connected")
        } catch {
            guard case .refused(let refusal) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(refusal.status == 503)
            #expect(refusal.headers.first(name: "retry-after") == "5")
            #expect(refusal.problem.code == "session_limit")
            #expect(refusal.problem.correlationID == "01K")
        }
        try await server.stop()
    }

    @Test func `of an endless refusal only a part is kept`() async throws {
        let size = HTTPRefusal.maximumBodyBytes + 1000
        let server = try CannedServer { _, _ in
            Array("HTTP/1.1 400 Bad Request\r\nContent-Length: \(size)\r\n\r\n".utf8) + [UInt8](repeating: 0x20, count: size)
        }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: .patient)
        } throws: { error in
            guard case .refused(let refusal)? = error as? ClientWebSocketError else { return false }
            return refusal.body.count == HTTPRefusal.maximumBodyBytes
        }
        try await server.stop()
    }

    @Test func `an upgrade that isn't an answer to ours is refused`() async throws {
        let server = try CannedServer { _, _ in
            Array(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n".utf8)
        }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: .patient)
        } throws: { error in
            guard case .handshake(.acceptKey)? = error as? ClientWebSocketError else { return false }
            return true
        }
        try await server.stop()
    }

    @Test func `what isn't HTTP is told apart`() async throws {
        let server = try CannedServer { _, _ in Array("SSH-2.0-OpenSSH\r\n\r\n".utf8) }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: .patient)
        } throws: { error in
            guard case .lost? = error as? ClientWebSocketError else { return false }
            return true
        }
        try await server.stop()
    }

    @Test func `silence is waited for so long and no longer`() async throws {
        var options = ClientWebSocketOptions.patient
        options.timeout = .milliseconds(50)
        let server = try CannedServer { _, _ in [] }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: options)
        } throws: { error in
            guard case .timedOut? = error as? ClientWebSocketError else { return false }
            return true
        }
        try await server.stop()
    }

    @Test func `nobody listening is told apart`() async throws {
        let server = try CannedServer()
        let url = server.url
        try await server.stop()
        await #expect {
            _ = try await ClientWebSocket.connect(to: url)
        } throws: { error in
            guard case .cannotConnect(let reason)? = error as? ClientWebSocketError else { return false }
            return reason.contains("refused")
        }
    }

    @Test func `a raw request goes out as it is`() async throws {
        var options = ClientWebSocketOptions.patient
        options.rawRequest = Array("BREW /pot HTCPCP/1.0\r\n\r\n".utf8)
        let server = try CannedServer { request, _ in
            Array("HTTP/1.1 \(request.hasPrefix("BREW /pot") ? 418 : 500) x\r\nContent-Length: 0\r\n\r\n".utf8)
        }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: options)
        } throws: { error in
            guard case .refused(let refusal)? = error as? ClientWebSocketError else { return false }
            return refusal.status == 418
        }
        try await server.stop()
    }

    @Test func `a program's own events come between the gateway's`() async throws {
        let server = try CannedServer(upgrading: [])
        let client = try await ClientWebSocket.connect(to: server.url, options: .patient)
        client.insert("typed")
        #expect(client.hasEvents)
        #expect(await client.next(within: .seconds(60)) == .inserted("typed"))
        #expect(await client.next(within: .milliseconds(1)) == nil)
        client.abort()
        #expect(await client.next() == .closed(.lost("aborted")))
        try await server.stop()
    }

    @Test func `a cancelled wait ends`() async throws {
        let server = try CannedServer(upgrading: [])
        let client = try await ClientWebSocket.connect(to: server.url, options: .patient)
        let waiting = Task { await client.next() }
        waiting.cancel()
        #expect(await waiting.value == nil)
        client.insert("still there")
        #expect(await client.next() == .inserted("still there"))
        try await server.stop()
    }

    @Test func `what nobody takes is held back, and all of it comes when somebody does`() async throws {
        var options = ClientWebSocketOptions.patient
        options.inboxEvents = 4
        let count = 20_000
        let server = try CannedServer(upgrading: (0..<count).flatMap { Self.frame(1, "\($0)") })
        let client = try await ClientWebSocket.connect(to: server.url, options: options)
        for number in 0..<count {
            #expect(await client.next() == .text("\(number)"))
        }
        client.abort()
        try await server.stop()
    }
}

@Suite struct ClientInboxTests {
    @Test func `it is full at its number of events, and has room again at half of it`() {
        let inbox = ClientInbox(maximumEvents: 4, maximumBytes: 1000)
        #expect((0..<3).allSatisfy { _ in inbox.put(.text("x")) })
        #expect(!inbox.put(.text("x")))
        #expect(!inbox.take().hasRoom)
        #expect(inbox.take().hasRoom)
        #expect(!inbox.take().hasRoom)
    }

    @Test func `it is full at its bytes`() {
        let inbox = ClientInbox(maximumEvents: 100, maximumBytes: 10)
        #expect(inbox.put(.binary([UInt8](repeating: 0, count: 9))))
        #expect(!inbox.put(.binary([0])))
        #expect(inbox.take().hasRoom)
    }

    @Test func `nothing comes behind the end`() {
        let inbox = ClientInbox(maximumEvents: 4, maximumBytes: 10)
        inbox.put(.closed(ClientClosing(code: 1000)))
        inbox.put(.text("late"))
        #expect(inbox.take().event == .closed(ClientClosing(code: 1000)))
        #expect(inbox.take().event == .closed(ClientClosing(code: 1000)))
    }

    @Test func `a ticket given up before the wait ends it at once`() async {
        let inbox = ClientInbox(maximumEvents: 4, maximumBytes: 10)
        let ticket = inbox.ticket()
        inbox.giveUp(ticket)
        #expect(await withCheckedContinuation { inbox.wait(ticket, $0) } == nil)
        inbox.put(.text("x"))
        #expect(inbox.take().event == .text("x"))
    }
}

extension ClientWebSocketOptions {
    /// Other tests keep the processors busy: what is waited for comes, but not always within seconds.
    fileprivate static var patient: ClientWebSocketOptions {
        var options = ClientWebSocketOptions()
        options.timeout = .seconds(120)
        options.closeTimeout = .seconds(120)
        return options
    }
}
