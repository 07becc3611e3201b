// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOPosix
import Support
import Synchronization
import Testing

/// Log lines about many WebSockets are throttled, and control characters chosen by a remote peer don't reach the terminal.
@Suite(.bounded) struct LogFloodTests {
    /// Counts the lines of one message, including suppressed ones.
    private final class LineCounter: Sendable {
        private let sums = Mutex<(lines: Int, suppressed: Int)>((0, 0))
        var lines: Int { sums.withLock { $0.lines } }

        /// Counts a line, and returns the number of lines so far, including suppressed ones.
        func add(_ line: JSON, message: String, topic: String) -> Int {
            sums.withLock { sums in
                if line["msg"].string == message {
                    sums.lines += 1
                    sums.suppressed += line["suppressed"].integer ?? 0
                } else if line["msg"] == "log lines suppressed", line["topic"].string == topic {
                    sums.suppressed += line["suppressed"].integer ?? 0
                }
                return sums.lines + sums.suppressed
            }
        }
    }

    @Test(arguments: [
        ("connection closed", "connectionClosed"), ("session ended", "sessionEnded"),
    ]) func `log lines about many WebSockets are throttled, and suppressed lines are counted`(message: String, topic: String) async throws {
        let gateway = try await GatewayProcess(SharedGateways.withoutLimits.merging(["listen.loops": "1"]) { $1 })
        var clients: [TestWebSocket] = []
        for _ in 0..<60 { clients.append(try await gateway.client()) }
        for client in clients { try await client.send(["type": "bye"]) }
        for client in clients { try await client.expectClose(1000) }
        let count = LineCounter()
        _ = try await gateway.line { count.add($0, message: message, topic: topic) == 60 }
        #expect(count.lines < 60)
        // A connection is counted when it closes, which may be after its session has ended.
        var closes: JSON = .null
        while closes != 60 {
            closes = try await gateway.operationsResponse(to: HTTPRequestText("/v1/gateway")).json()["closes"]["1000"]
        }
        try await gateway.stop()
    }

    @Test func `lines about detached sessions are throttled; every line about a single client is logged`() async throws {
        let gateway = try await GatewayProcess(SharedGateways.withoutLimits.merging(["listen.loops": "1"]) { $1 })
        let client = try await gateway.client()
        try await client.send(["type": "text", "id": "a", "text": "hello"])
        await client.socket.reset()
        for message in ["connection closed", "session detached"] {
            let line = try await gateway.line(message)
            #expect(line["suppressed"].isNull)
        }
        var clients: [TestWebSocket] = []
        for _ in 0..<60 { clients.append(try await gateway.client()) }
        for client in clients { await client.socket.reset() }
        let count = LineCounter()
        _ = try await gateway.line { count.add($0, message: "session detached", topic: "sessionDetached") == 61 }
        #expect(count.lines < 61)
        try await gateway.stop()
    }

    @Test func `control characters in a listener's response don't reach the terminal`() async throws {
        let gateway = try await GatewayProcess()
        let client = try await gateway.client()
        let page = try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions")).body
        let id = try #require(try JSON(page)["sessions"][0]["session_id"].string)
        let details = try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions/\(id)")).body
        for (body, arguments) in [(page, ["list"]), (details, ["show", id])] {
            let hostile = body.replacingOccurrences(of: id, with: #"\u001b]0;owned\u0007\u009b31m\u202eid"#)
                .replacingOccurrences(of: #""connected""#, with: #""\u001b[2Jconnected""#)
            let listener = try await CannedListener(hostile)
            let result = try await GatewayProcess.run(
                ["sessions"] + arguments + ["--address", "127.0.0.1:\(listener.port)"], directory: gateway.directory)
            try await listener.stop()
            let text = result.lines.joined(separator: "\n")
            #expect(result.status == 0, "\(result.errorLines)")
            #expect(text.contains(#"\u001b]0;owned"#))
            #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || 0x7F..<0xA0 ~= $0.value || $0.value == 0x202E })
        }
        try await client.expectServed()
        try await gateway.stop()
    }
}

/// An operations listener that sends the same body for every request.
private final class CannedListener: Sendable {
    let port: Int
    private let channel: any Channel

    init(_ body: String) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Handler(body)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    func stop() async throws { try await channel.close().get() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let body: String

        init(_ body: String) { self.body = body }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: head + body)), promise: nil)
        }
    }
}
