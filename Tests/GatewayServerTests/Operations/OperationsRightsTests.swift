// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import GatewayServer

@Suite("Rights and event streams of the operations listener")
struct OperationsRightsTests {
    private static let tokens = OperationsRight.allCases.map {
        OperationsToken($0.rawValue, identity: OperationsIdentity(name: "\($0)", rights: [$0]))
    }

    @Test func `each route requires its right, and 403 names the missing one`() async throws {
        try await OperationsHarness.run(requiresToken: true) { server in
            server.token.set(Self.tokens)
            let id = "01J000000000000000000000ZZ"
            let routes: [(line: String, right: OperationsRight)] = [
                ("GET /v1/gateway", .read), ("HEAD /v1/gateway", .read), ("POST /v1/gateway/reload", .operate),
                ("POST /v1/upstreams/chat/reset", .operate), ("GET /v1/sessions", .read), ("GET /v1/sessions/\(id)", .read),
                ("PATCH /v1/sessions/\(id)", .content), ("DELETE /v1/sessions/\(id)", .erase), ("GET /v1/sessions/\(id)/report", .read),
                ("POST /v1/sessions/\(id)/close", .operate), ("GET /v1/usage", .read),
            ]
            for (line, right) in routes {
                for token in OperationsRight.allCases {
                    let reply = try await server.send(line, ["Authorization: Bearer \(token.rawValue)"])
                    #expect((reply.status == 403) == (token != right), "\(line) with \(token)")
                    guard token != right, !line.hasPrefix("HEAD") else { continue }
                    #expect(reply.body.contains(#""detail":"the token lacks the right \#(right)","code":"forbidden""#), "\(line)")
                }
            }
            // An unknown path and method tell nothing more to one token than to another.
            #expect(try await server.send("GET /v1/nothing", ["Authorization: Bearer push"]).status == 404)
            #expect(try await server.send("PUT /v1/gateway", ["Authorization: Bearer push"]).status == 405)
            #expect(try await server.send("GET /v1/gateway").status == 401)
            #expect(try await server.send("GET /livez").status == 200)
        }
    }

    // MARK: Streams

    private struct Streams: OperationsRouteGroup {
        let routes = [OperationsRoute("/events", [.get: .read])]

        func add(to router: Router<OperationsRequestContext>) {
            router.get("/events") { _, _ in
                Response.eventStream { events in
                    try await events.send(event: "figure", data: Array("one\ntwo".utf8))
                    try await events.keepAlive()
                }
            }
        }
    }

    @Test func `a stream of events has a line of data per line, comments, and an end`() async throws {
        try await OperationsHarness.run(features: [OperationsFeature(Streams())]) { server in
            let reply = try await server.send("GET /events")
            #expect(reply.fields["content-type"] == "text/event-stream")
            #expect(reply.body.contains("event: figure\ndata: one\ndata: two\n\n"))
            #expect(reply.body.contains(":\n\n"))
        }
    }

    @Test func `the number of streams is limited, and requests of another kind still succeed`() async throws {
        var limits = OperationsLimits()
        limits.streams = 0
        try await OperationsHarness.run(limits: limits, features: [OperationsFeature(Streams())]) { server in
            let reply = try await server.send("GET /events")
            #expect(reply.status == 503)
            #expect(reply.body.contains("Limit of event streams reached (0); close one and retry"))
            #expect(try await server.send("GET /v1/gateway").status == 200)
        }
    }

    /// A connection that has sent a request, with a response head of this type.
    private func channel(contentType: String) throws -> EmbeddedChannel {
        var limits = OperationsLimits()
        limits.requestTimeout = .seconds(10)
        let channel = EmbeddedChannel(handler: OperationsConnectionHandler(limits: limits, servesOneRequest: false) { _ in })
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/events", headers: ["Host": "localhost"])
        try channel.writeInbound(HTTPServerRequestPart.head(head))
        try channel.writeInbound(HTTPServerRequestPart.end(nil))
        let response = HTTPResponseHead(version: .http1_1, status: .ok, headers: ["Content-Type": contentType])
        channel.writeAndFlush(HTTPServerResponsePart.head(response), promise: nil)
        return channel
    }

    private let event = HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: ":\n\n")))

    @Test func `a stream has no deadline as a whole, another response has`() throws {
        let stream = try channel(contentType: "text/event-stream")
        let other = try channel(contentType: "application/json")
        for _ in 0..<10 {
            stream.embeddedEventLoop.advanceTime(by: .seconds(9))
            stream.writeAndFlush(event, promise: nil)
        }
        #expect(stream.isActive)
        other.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(!other.isActive)
    }

    @Test func `a stream whose client doesn't read for the time of a request is closed`() throws {
        let stream = try channel(contentType: "text/event-stream")
        // Not flushed: the write doesn't complete.
        stream.write(event, promise: nil)
        stream.embeddedEventLoop.advanceTime(by: .milliseconds(9_999))
        #expect(stream.isActive)
        stream.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(!stream.isActive)
    }

    @Test func `a stream closes when its client closes its side`() throws {
        let stream = try channel(contentType: "text/event-stream")
        stream.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(!stream.isActive)
    }
}
