// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Support
import Testing

@testable import GatewayServer

/// A connection to an HTTP upstream: order of events, reuse and closing.
@Suite struct HTTPConnectionTests {
    private final class Exchange: HTTPExchange {
        var events: [String] = []
        var onEnd: () -> Void = {}
        func sent() { events.append("sent") }
        func head(_ head: HTTPResponseHead) { events.append("\(head.status.code)") }
        func body(_ part: ByteBuffer) { events.append(String(buffer: part)) }
        func ended() {
            events.append("end")
            onEnd()
        }
        func failed(_ failure: CallFailure) { events.append("\(failure.code.rawValue), reached: \(failure.mayHaveBeenProcessed)") }
    }

    /// Counts reads of the socket.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var count = 0
        func read(context: ChannelHandlerContext) { count += 1 }
    }

    /// A connection on an embedded channel, with a manual clock.
    private final class Harness {
        let channel = EmbeddedChannel()
        let reads = Reads()
        let connection: HTTPConnection
        var now = Instant(nanoseconds: 0)
        /// Number of times that the connection became idle or closed.
        var changes = 0

        init() throws {
            var configuration = GatewayConfiguration.Upstream()
            configuration.urls = [try #require(UpstreamURL("http://127.0.0.1:1/"))]
            configuration.connectTimeout = .seconds(1)
            let connector = UpstreamConnector(configuration, contexts: [nil], eventLoop: channel.eventLoop)
            weak var me: Harness?
            connection = HTTPConnection(endpoint: 0, connector: connector, now: { me?.now ?? Instant(nanoseconds: 0) }) { _ in
                me?.changes += 1
            }
            me = self
            channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
            try channel.pipeline.syncOperations.addHandlers([
                reads, HTTPRequestEncoder(), ByteToMessageHandler(HTTPResponseDecoder()), NIOHTTPRequestHeadersValidator(), connection,
            ])
        }

        func send(_ exchange: Exchange, headers: HTTPHeaders = ["Host": "x"], body: String = "") {
            let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: headers)
            connection.begin(.init(head: head, body: Array(body.utf8)), for: exchange)
        }

        func respond(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

        func written() throws -> String {
            var text = ""
            while let part = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
            return text
        }
    }

    private let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test func `a keep-alive connection is reused for further requests`() throws {
        let harness = try Harness()
        for _ in 0..<3 {
            let exchange = Exchange()
            harness.send(exchange, headers: ["Host": "x", "Content-Length": "4"], body: "ping")
            #expect(try harness.written() == "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nping")
            try harness.respond(response)
            #expect(exchange.events == ["sent", "200", "ok", "end"])
            #expect(harness.connection.isReusable)
        }
        #expect(harness.changes == 4)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ])
    func `a connection without keep-alive closes after the response`(response: String) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange)
        try harness.respond(response)
        #expect(exchange.events == ["sent", "200", "ok", "end"])
        #expect(harness.connection.isClosed)
    }

    @Test(arguments: ["immediately", "later"])
    func `an unsolicited second response closes the connection and is dropped`(when: String) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange)
        try? harness.respond(response + (when == "later" ? "" : response))
        if when == "later" { try? harness.respond(response) }
        #expect(exchange.events == ["sent", "200", "ok", "end"])
        #expect(harness.connection.isClosed && !harness.connection.isReusable)
        let next = Exchange()
        harness.send(next)
        #expect(next.events == ["upstream_unavailable, reached: false"])
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", ["sent", "200", "o", "upstream_error, reached: true"]),
        ("HTTP/1.1 200 O", ["sent", "upstream_error, reached: true"]), ("", ["sent", "upstream_error, reached: true"]),
        // Without a length, the body ends with the connection.
        ("HTTP/1.1 200 OK\r\n\r\nok", ["sent", "200", "ok", "end"]),
    ])
    func `a connection that closes during a response fails the request`(response: String, events: [String]) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange)
        try harness.respond(response)
        _ = try? harness.channel.finish()
        #expect(exchange.events == events)
        #expect(harness.connection.isClosed)
    }

    @Test func `a response that isn't HTTP fails the request`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange)
        try? harness.respond("HTTP/banana 2oo\r\n\r\n")
        #expect(exchange.events == ["sent", "upstream_error, reached: true"])
        #expect(harness.connection.isClosed)
    }

    @Test func `a response before the request is completely written closes the connection`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        let stuck = Stuck()
        try harness.channel.pipeline.syncOperations.addHandler(stuck, position: .first)
        harness.send(exchange, body: "a long one")
        try harness.respond(response)
        #expect(exchange.events == ["sent", "200", "ok", "end"])
        #expect(harness.connection.isClosed)
    }

    /// Stands in for a socket that doesn't complete a write within an hour.
    private final class Stuck: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            if let promise { context.eventLoop.scheduleTask(in: .hours(1)) { promise.succeed() } }
        }
    }

    @Test(arguments: [(65_536, false), (65_537, true)])
    func `a connection stays usable when up to 64 KiB of a body are discarded`(count: Int, isClosed: Bool) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange)
        try harness.respond("HTTP/1.1 200 OK\r\nContent-Length: \(count + 4)\r\n\r\ndone")
        harness.connection.discardRemainder()
        try harness.respond(String(repeating: "x", count: count))
        #expect(exchange.events == ["sent", "200", "done"])
        #expect(harness.connection.isClosed == isClosed)
        #expect(harness.connection.isReusable == !isClosed)
    }

    @Test(arguments: [(999, false), (1000, true)])
    func `discarding a body for a second closes the connection`(milliseconds: Int64, isClosed: Bool) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange)
        try harness.respond("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndone")
        harness.connection.discardRemainder()
        harness.connection.tick(now: Instant(nanoseconds: milliseconds * 1_000_000), idleClose: .max, maxAge: .max)
        #expect(harness.connection.isClosed == isClosed)
    }

    @Test func `a paused connection isn't read`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange)
        harness.channel.read()
        let before = harness.reads.count
        harness.connection.setPaused(true)
        harness.channel.read()
        #expect(harness.reads.count == before)
        harness.connection.setPaused(false)
        #expect(harness.reads.count == before + 1)
    }

    @Test func `a pause before the request lasts until the end of its response`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.connection.setPaused(true)
        harness.send(exchange)
        harness.channel.read()
        #expect(harness.reads.count == 0)
        try harness.respond(response)
        #expect(exchange.events == ["sent", "200", "ok", "end"])
        // An idle connection is read, so that its end is detected.
        #expect(harness.reads.count == 1)
    }

    @Test(arguments: [(.idle, 100, false), (.idle, 99, true), (.age, 500, false), (.age, 499, true)] as [(Limit, Int64, Bool)])
    func `a connection that is idle too long or too old is closed`(limit: Limit, milliseconds: Int64, isKept: Bool) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange)
        try harness.respond(response)
        harness.connection.tick(
            now: Instant(nanoseconds: milliseconds * 1_000_000), idleClose: limit == .idle ? 100_000_000 : .max,
            maxAge: limit == .age ? 500_000_000 : .max)
        #expect(harness.connection.isClosed == !isKept)
    }

    enum Limit: Sendable { case idle, age }

    @Test func `a retired connection closes immediately if idle, else after its response`() throws {
        let (busy, idle, exchange) = (try Harness(), try Harness(), Exchange())
        idle.connection.retire()
        #expect(idle.connection.isClosed)
        busy.send(exchange)
        busy.connection.retire()
        #expect(!busy.connection.isClosed)
        try busy.respond(response)
        #expect(exchange.events == ["sent", "200", "ok", "end"])
        #expect(busy.connection.isClosed)
    }

    @Test func `a header field with a line break is never sent`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.send(exchange, headers: ["Host": "x", "A": "b\r\nC: d"])
        #expect(try !harness.written().contains("C: d"))
    }

    @Test func `Retry-After is parsed as seconds or as a date`() {
        #expect(HTTPHeaders([("Retry-After", "2")]).retryAfterMilliseconds == 2000)
        let (date, end) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:40 GMT")
        #expect(HTTPHeaders([("Date", date), ("Retry-After", end)]).retryAfterMilliseconds == 3000)
        // Without a Date field, the date is compared with the gateway's clock and is in the past.
        #expect(HTTPHeaders([("Retry-After", end)]).retryAfterMilliseconds == 0)
        #expect(HTTPHeaders([("Retry-After", "later")]).retryAfterMilliseconds == nil)
        #expect(HTTPHeaders().retryAfterMilliseconds == nil)
    }

    @Test func `a request that begins while another ends is sent immediately`() throws {
        let (harness, first, second) = (try Harness(), Exchange(), Exchange())
        first.onEnd = { [harness] in harness.send(second) }
        harness.send(first)
        _ = try harness.written()
        try harness.respond(response)
        #expect(try harness.written().hasPrefix("POST / HTTP/1.1"))
        try harness.respond(response)
        #expect(second.events == ["sent", "200", "ok", "end"])
    }
}
