import GatewayCore
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Support
import Testing

@testable import GatewayServer

/// One connection to an HTTP upstream: what may come when, and what ends it.
@Suite struct HTTPConnectionTests {
    private final class Exchange: HTTPExchange {
        var heard: [String] = []
        var onEnd: () -> Void = {}
        func sent() { heard.append("sent") }
        func head(_ head: HTTPResponseHead) { heard.append("\(head.status.code)") }
        func body(_ part: ByteBuffer) { heard.append(String(buffer: part)) }
        func ended() {
            heard.append("end")
            onEnd()
        }
        func failed(_ failure: CallFailure) { heard.append("\(failure.code.rawValue), reached: \(failure.hasReached)") }
    }

    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var count = 0
        func read(context: ChannelHandlerContext) { count += 1 }
    }

    /// A connection on a channel of its own, with time that stands still unless it is moved.
    private final class Harness {
        let channel = EmbeddedChannel()
        let reads = Reads()
        let connection: HTTPConnection
        var now = Instant(nanoseconds: 0)
        /// How often it told that it rests, or is over.
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

        func ask(_ exchange: Exchange, headers: HTTPHeaders = ["Host": "x"], body: String = "") {
            let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: headers)
            connection.begin(.init(head: head, body: Array(body.utf8)), for: exchange)
        }

        func say(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

        func written() throws -> String {
            var text = ""
            while let part = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
            return text
        }
    }

    private let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test func `requests follow each other on a connection that the upstream keeps`() throws {
        let harness = try Harness()
        for _ in 0..<3 {
            let exchange = Exchange()
            harness.ask(exchange, headers: ["Host": "x", "Content-Length": "4"], body: "ping")
            #expect(try harness.written() == "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nping")
            try harness.say(answer)
            #expect(exchange.heard == ["sent", "200", "ok", "end"])
            #expect(harness.connection.isClean)
        }
        #expect(harness.changes == 4)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ])
    func `one that it doesn't keep is closed behind the answer`(answer: String) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange)
        try harness.say(answer)
        #expect(exchange.heard == ["sent", "200", "ok", "end"])
        #expect(harness.connection.isClosed)
    }

    @Test(arguments: ["behind it", "later"])
    func `a second answer ends the connection, and reaches nobody`(when: String) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange)
        try? harness.say(answer + (when == "later" ? "" : answer))
        if when == "later" { try? harness.say(answer) }
        #expect(exchange.heard == ["sent", "200", "ok", "end"])
        #expect(harness.connection.isClosed && !harness.connection.isClean)
        let next = Exchange()
        harness.ask(next)
        #expect(next.heard == ["upstream_unavailable, reached: false"])
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", ["sent", "200", "o", "upstream_error, reached: true"]),
        ("HTTP/1.1 200 O", ["sent", "upstream_error, reached: true"]), ("", ["sent", "upstream_error, reached: true"]),
        // Without a length, its end is that of the connection.
        ("HTTP/1.1 200 OK\r\n\r\nok", ["sent", "200", "ok", "end"]),
    ])
    func `an end of the connection in the answer is a failure`(said: String, heard: [String]) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange)
        try harness.say(said)
        _ = try? harness.channel.finish()
        #expect(exchange.heard == heard)
        #expect(harness.connection.isClosed)
    }

    @Test func `what isn't HTTP is a failure`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange)
        try? harness.say("HTTP/banana 2oo\r\n\r\n")
        #expect(exchange.heard == ["sent", "upstream_error, reached: true"])
        #expect(harness.connection.isClosed)
    }

    @Test func `an answer before the whole request was written isn't followed by another request`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        // The channel takes nothing.
        let stuck = Stuck()
        try harness.channel.pipeline.syncOperations.addHandler(stuck, position: .first)
        harness.ask(exchange, body: "a long one")
        try harness.say(answer)
        #expect(exchange.heard == ["sent", "200", "ok", "end"])
        #expect(harness.connection.isClosed)
    }

    private final class Stuck: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            if let promise { context.eventLoop.scheduleTask(in: .hours(1)) { promise.succeed() } }
        }
    }

    @Test(arguments: [(65_536, false), (65_537, true)])
    func `behind an end that came in mid-body, 64 KiB may pass`(count: Int, isClosed: Bool) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange)
        try harness.say("HTTP/1.1 200 OK\r\nContent-Length: \(count + 4)\r\n\r\ndone")
        harness.connection.letPass()
        try harness.say(String(repeating: "x", count: count))
        #expect(exchange.heard == ["sent", "200", "done"])
        #expect(harness.connection.isClosed == isClosed)
        #expect(harness.connection.isClean == !isClosed)
    }

    @Test(arguments: [(999, false), (1000, true)])
    func `and for a second`(milliseconds: Int64, isClosed: Bool) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange)
        try harness.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndone")
        harness.connection.letPass()
        harness.connection.tick(now: Instant(nanoseconds: milliseconds * 1_000_000), idleClose: .max, maxAge: .max)
        #expect(harness.connection.isClosed == isClosed)
    }

    @Test func `a paused answer stays unread`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange)
        harness.channel.read()
        let before = harness.reads.count
        harness.connection.setPaused(true)
        harness.channel.read()
        #expect(harness.reads.count == before)
        harness.connection.setPaused(false)
        #expect(harness.reads.count == before + 1)
    }

    @Test func `a pause holds from before the request is sent to the end of its answer`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.connection.setPaused(true)
        harness.ask(exchange)
        harness.channel.read()
        #expect(harness.reads.count == 0)
        try harness.say(answer)
        #expect(exchange.heard == ["sent", "200", "ok", "end"])
        // One that rests is read, so that its end is noticed.
        #expect(harness.reads.count == 1)
    }

    @Test(arguments: [(.idle, 100, false), (.idle, 99, true), (.age, 500, false), (.age, 499, true)] as [(Limit, Int64, Bool)])
    func `one that rests too long, or is too old, is closed`(limit: Limit, milliseconds: Int64, isKept: Bool) throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange)
        try harness.say(answer)
        harness.connection.tick(
            now: Instant(nanoseconds: milliseconds * 1_000_000), idleClose: limit == .idle ? 100_000_000 : .max,
            maxAge: limit == .age ? 500_000_000 : .max)
        #expect(harness.connection.isClosed == !isKept)
    }

    enum Limit: Sendable { case idle, age }

    @Test func `a retired one closes behind its answer`() throws {
        let (busy, resting, exchange) = (try Harness(), try Harness(), Exchange())
        resting.connection.retire()
        #expect(resting.connection.isClosed)
        busy.ask(exchange)
        busy.connection.retire()
        #expect(!busy.connection.isClosed)
        try busy.say(answer)
        #expect(exchange.heard == ["sent", "200", "ok", "end"])
        #expect(busy.connection.isClosed)
    }

    @Test func `a field that would begin another line is never sent`() throws {
        let (harness, exchange) = (try Harness(), Exchange())
        harness.ask(exchange, headers: ["Host": "x", "A": "b\r\nC: d"])
        #expect(try !harness.written().contains("C: d"))
    }

    @Test func `a wait that the upstream demands is read from its fields`() {
        #expect(HTTPHeaders([("Retry-After", "2")]).retryAfterMilliseconds == 2000)
        let (date, end) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:40 GMT")
        #expect(HTTPHeaders([("Date", date), ("Retry-After", end)]).retryAfterMilliseconds == 3000)
        // By our own clock that is long over.
        #expect(HTTPHeaders([("Retry-After", end)]).retryAfterMilliseconds == 0)
        #expect(HTTPHeaders([("Retry-After", "later")]).retryAfterMilliseconds == nil)
        #expect(HTTPHeaders().retryAfterMilliseconds == nil)
    }

    @Test func `one request taken up from inside the end of another goes out at once`() throws {
        let (harness, first, second) = (try Harness(), Exchange(), Exchange())
        first.onEnd = { [harness] in harness.ask(second) }
        harness.ask(first)
        _ = try harness.written()
        try harness.say(answer)
        #expect(try harness.written().hasPrefix("POST / HTTP/1.1"))
        try harness.say(answer)
        #expect(second.heard == ["sent", "200", "ok", "end"])
    }
}
