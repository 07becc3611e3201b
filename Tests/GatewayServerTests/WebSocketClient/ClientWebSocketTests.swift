// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import Support
import Testing

@testable import ParleyClient

@Suite struct ClientWebSocketTests {
    private static func frame(_ opcode: UInt8, _ payload: String) -> [UInt8] {
        [0x80 | opcode, UInt8(payload.utf8.count)] + Array(payload.utf8)
    }

    /// Returns the opcode and the unmasked payload of a frame whose payload has less than 126 bytes.
    private static func unmask(_ frame: [UInt8]) throws -> (opcode: UInt8, payload: [UInt8]) {
        try #require(frame.count >= 6 && frame[1] & 0x80 != 0)
        let key = Array(frame[2..<6])
        return (frame[0] & 0x0F, frame[6...].enumerated().map { $1 ^ key[$0 % 4] })
    }

    @Test func `messages in the same write as the upgrade response are received in order`() async throws {
        let server = try CannedServer(
            upgrading: Self.frame(1, "one") + [0x01, 1, 0x74] + Self.frame(9, "") + Self.frame(0, "wo") + Self.frame(2, "three"))
        let client = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        #expect(client.tls == nil)
        #expect(await client.next() == .text("one"))
        #expect(await client.next() == .text("two"))
        #expect(await client.next() == .binary(Array("three".utf8)))
        #expect(await client.next(within: .zero) == nil)
        client.abort()
        try await server.stop()
    }

    @Test func `messages are masked, and pings get pongs`() async throws {
        let server = try CannedServer(upgrading: Self.frame(9, "are you there"))
        let client = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
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

    @Test func `with sendsPongs off and reportsPings on, a ping gets no pong and is an event`() async throws {
        var options = ClientWebSocketOptions.longTimeouts
        options.sendsPongs = false
        options.reportsPings = true
        let server = try CannedServer(upgrading: Self.frame(9, "p"))
        let client = try await ClientWebSocket.connect(to: server.url, options: options)
        #expect(await client.next() == .ping([0x70]))
        try await client.sendRaw([7])
        #expect(await server.receive(1) == [7])
        client.abort()
        try await server.stop()
    }

    @Test func `the gateway's close frame is echoed with its code, and ends the events`() async throws {
        let server = try CannedServer(upgrading: Self.frame(1, "last") + [0x88, 5, 0x0F, 0xA1, 0x61, 0x62, 0x63] + Self.frame(1, "late"))
        let client = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        var events: [ClientEvent] = []
        for await event in client.events { events.append(event) }
        #expect(events == [.text("last"), .closed(ClientClosing(code: 4001, reason: "abc"))])
        #expect(await client.next() == .closed(ClientClosing(code: 4001, reason: "abc")))
        #expect(try Self.unmask(await server.receive(8)).payload == [0x0F, 0xA1])
        await #expect(throws: ClientWebSocketError.self) { try await client.send(text: "too late") }
        try await server.stop()
    }

    @Test func `the gateway's reply to the client's close frame ends the events`() async throws {
        let server = try CannedServer(upgrading: [])
        let client = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        client.close(code: 3999, reason: "done")
        let close = try Self.unmask(await server.receive(12))
        #expect(close.opcode == 8)
        #expect(close.payload == [0x0F, 0x9F] + Array("done".utf8))
        server.send([0x88, 0])
        #expect(await client.next() == .closed(ClientClosing(code: ClientClosing.noCode)))
        try await server.stop()
    }

    @Test func `without a reply to its close frame the client closes the connection after closeTimeout`() async throws {
        var options = ClientWebSocketOptions.longTimeouts
        options.closeTimeout = .milliseconds(20)
        let server = try CannedServer(upgrading: [])
        let client = try await ClientWebSocket.connect(to: server.url, options: options)
        client.close()
        #expect(await client.next() == .closed(.lost("the gateway didn't send a close frame in time")))
        await client.waitForEnd()
        try await server.stop()
    }

    @Test func `a connection that closes without a close frame is reported as lost`() async throws {
        let server = try CannedServer(upgrading: Self.frame(1, "x"))
        let client = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        #expect(await client.next() == .text("x"))
        server.close()
        #expect(await client.next() == .closed(.lost("the gateway closed the connection without a close frame")))
        try await server.stop()
    }

    @Test(arguments: [[0x81, 0x80, 1, 2, 3, 4], [0xC1, 0], [0x83, 0], [0x81, 1, 0xFF]] as [[UInt8]])
    func `an invalid frame closes the connection, with a close frame from the client`(frame: [UInt8]) async throws {
        let server = try CannedServer(upgrading: frame)
        let client = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        guard case .closed(let closing) = await client.next() else {
            Issue.record("no closed event")
            return
        }
        #expect(closing.code == ClientClosing.abnormal)
        #expect(closing.failure?.hasPrefix("the gateway violated the WebSocket protocol") == true)
        let close = try Self.unmask(await server.receive(8))
        #expect(close.opcode == 8)
        try await server.stop()
    }

    @Test func `a message over the limit closes the connection before it is buffered`() async throws {
        var options = ClientWebSocketOptions.longTimeouts
        options.maxMessageBytes = 4
        let server = try CannedServer(upgrading: Self.frame(1, "four") + Self.frame(1, "fiver"))
        let client = try await ClientWebSocket.connect(to: server.url, options: options)
        #expect(await client.next() == .text("four"))
        guard case .closed(let closing) = await client.next() else {
            Issue.record("no closed event")
            return
        }
        #expect(closing.failure?.contains("over the limit") == true)
        try await server.stop()
    }

    @Test func `a rejection has status, header fields and problem`() async throws {
        let body = #"{"code":"session_limit","detail":"No room.","correlation_id":"01K"}"#
        let server = try CannedServer { _, _ in
            Array("HTTP/1.1 503 Service Unavailable\r\nContent-Length: \(body.utf8.count)\r\nRetry-After: 5\r\n\r\n\(body)".utf8)
        }
        do {
            _ = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
            Issue.record("connected")
        } catch {
            guard case .rejected(let rejection) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(rejection.status == 503)
            #expect(rejection.headers.first(name: "retry-after") == "5")
            #expect(rejection.problem.code == "session_limit")
            #expect(rejection.problem.correlationID == "01K")
        }
        try await server.stop()
    }

    @Test func `the body of a rejection is truncated to its limit`() async throws {
        let size = UpgradeRejection.maximumBodyBytes + 1000
        let server = try CannedServer { _, _ in
            Array("HTTP/1.1 400 Bad Request\r\nContent-Length: \(size)\r\n\r\n".utf8) + [UInt8](repeating: 0x20, count: size)
        }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        } throws: { error in
            guard case .rejected(let rejection)? = error as? ClientWebSocketError else { return false }
            return rejection.body.count == UpgradeRejection.maximumBodyBytes
        }
        try await server.stop()
    }

    @Test func `a 101 response with the wrong accept key fails the handshake`() async throws {
        let server = try CannedServer { _, _ in
            Array(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n".utf8)
        }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        } throws: { error in
            guard case .handshake(.acceptKey)? = error as? ClientWebSocketError else { return false }
            return true
        }
        try await server.stop()
    }

    @Test func `a response that isn't HTTP is reported as a lost connection`() async throws {
        let server = try CannedServer { _, _ in Array("SSH-2.0-OpenSSH\r\n\r\n".utf8) }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        } throws: { error in
            guard case .lost? = error as? ClientWebSocketError else { return false }
            return true
        }
        try await server.stop()
    }

    @Test func `without a response the upgrade times out`() async throws {
        var options = ClientWebSocketOptions.longTimeouts
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

    @Test func `a refused TCP connection is reported as cannotConnect`() async throws {
        let port = try ReservedPort()
        let url = try WebSocketURL("ws://127.0.0.1:\(port.number)/v1/session")
        await #expect {
            _ = try await ClientWebSocket.connect(to: url)
        } throws: { error in
            guard case .cannotConnect(let reason)? = error as? ClientWebSocketError else { return false }
            return reason.contains("refused")
        }
        withExtendedLifetime(port) {}
    }

    @Test func `a raw request is sent unchanged`() async throws {
        var options = ClientWebSocketOptions.longTimeouts
        options.rawRequest = Array("BREW /pot HTCPCP/1.0\r\n\r\n".utf8)
        let server = try CannedServer { request, _ in
            Array("HTTP/1.1 \(request.hasPrefix("BREW /pot") ? 418 : 500) x\r\nContent-Length: 0\r\n\r\n".utf8)
        }
        await #expect {
            _ = try await ClientWebSocket.connect(to: server.url, options: options)
        } throws: { error in
            guard case .rejected(let rejection)? = error as? ClientWebSocketError else { return false }
            return rejection.status == 418
        }
        try await server.stop()
    }

    @Test func `inserted events are delivered in order with the gateway's events`() async throws {
        let server = try CannedServer(upgrading: [])
        let client = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        client.insert("typed")
        #expect(client.hasEvents)
        #expect(await client.next(within: .seconds(60)) == .inserted("typed"))
        #expect(await client.next(within: .milliseconds(1)) == nil)
        client.abort()
        #expect(await client.next() == .closed(.lost("aborted")))
        try await server.stop()
    }

    @Test func `a cancelled wait returns nil, and the next event isn't lost`() async throws {
        let server = try CannedServer(upgrading: [])
        let client = try await ClientWebSocket.connect(to: server.url, options: .longTimeouts)
        let waiting = Task { await client.next() }
        waiting.cancel()
        #expect(await waiting.value == nil)
        client.insert("still there")
        #expect(await client.next() == .inserted("still there"))
        try await server.stop()
    }

    @Test func `a full inbox stops reading, and every message is delivered later`() async throws {
        var options = ClientWebSocketOptions.longTimeouts
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
    @Test func `the inbox is full at its maximum number of events, and has room again at half of that`() {
        let inbox = ClientInbox(maximumEvents: 4, maximumBytes: 1000)
        #expect((0..<3).allSatisfy { _ in inbox.enqueue(.text("x")) })
        #expect(!inbox.enqueue(.text("x")))
        #expect(!inbox.dequeue().hasRoom)
        #expect(inbox.dequeue().hasRoom)
        #expect(!inbox.dequeue().hasRoom)
    }

    @Test func `the inbox is full at its maximum number of bytes`() {
        let inbox = ClientInbox(maximumEvents: 100, maximumBytes: 10)
        #expect(inbox.enqueue(.binary([UInt8](repeating: 0, count: 9))))
        #expect(!inbox.enqueue(.binary([0])))
        #expect(inbox.dequeue().hasRoom)
    }

    @Test func `events after closed are dropped, and closed is returned again`() {
        let inbox = ClientInbox(maximumEvents: 4, maximumBytes: 10)
        inbox.enqueue(.closed(ClientClosing(code: 1000)))
        inbox.enqueue(.text("late"))
        #expect(inbox.dequeue().event == .closed(ClientClosing(code: 1000)))
        #expect(inbox.dequeue().event == .closed(ClientClosing(code: 1000)))
    }

    @Test func `a wait whose ticket was cancelled before returns nil at once`() async {
        let inbox = ClientInbox(maximumEvents: 4, maximumBytes: 10)
        let ticket = inbox.ticket()
        inbox.cancelWait(ticket)
        #expect(await withCheckedContinuation { inbox.wait(ticket, $0) } == nil)
        inbox.enqueue(.text("x"))
        #expect(inbox.dequeue().event == .text("x"))
    }
}

extension ClientWebSocketOptions {
    /// Options with long timeouts: other tests keep the processors busy, so that events may take many seconds.
    fileprivate static var longTimeouts: ClientWebSocketOptions {
        var options = ClientWebSocketOptions()
        options.timeout = .seconds(120)
        options.closeTimeout = .seconds(120)
        return options
    }
}
