// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayTLS

@Suite struct PlainHTTPTests {
    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "POST", "OPTIONS * HTTP/1.1", "PUT /", "DELETE", "CONNECT", "PATCH", "TRACE", "PRI * HTTP/2.0",
    ])
    func `plain HTTP is detected by its first four bytes`(text: String) {
        #expect(PlainHTTP.verdict(of: ByteBuffer(string: text)) == .request(hasBody: true))
        for count in 0..<4 {
            #expect(PlainHTTP.verdict(of: ByteBuffer(string: String(text.prefix(count)))) == .undecided)
        }
    }

    @Test(arguments: ["\u{16}\u{3}\u{1}\u{2}", "\u{16}", "get ", "GETX", "SSH-", "P0", "PUTT"])
    func `other bytes are passed to TLS`(text: String) {
        #expect(PlainHTTP.verdict(of: ByteBuffer(string: text)) == .other)
    }

    @Test func `the response to HEAD has no body`() {
        #expect(PlainHTTP.verdict(of: ByteBuffer(string: "HEAD / HTTP/1.1")) == .request(hasBody: false))
        let text = String(buffer: PlainHTTP.rejection(detail: "y", correlationID: "x", hasBody: false, allocator: ByteBufferAllocator()))
        #expect(text.hasSuffix("\r\n\r\n"))
    }

    @Test(arguments: [Int.max, 1]) func `plain HTTP gets a complete problem response; further input is discarded`(chunk: Int) throws {
        let certificates = try TestCertificates()
        let pair = try TLSPair(certificates)
        let request = ByteBuffer(string: "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try pair.deliver(request, to: pair.server, chunk)
        let response = String(buffer: try #require(try pair.server.readOutbound(as: ByteBuffer.self)))
        let parts = response.split(separator: "\r\n\r\n", maxSplits: 1)
        try #require(parts.count == 2)
        #expect(parts[0].hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(parts[0].contains("Content-Type: application/problem+json"))
        #expect(parts[0].contains("Connection: close"))
        #expect(parts[0].contains("Content-Length: \(parts[1].utf8.count)\r\n"))
        #expect(
            parts[1] == """
                {"type":"about:blank","title":"Bad Request","status":400,"code":"invalid_upgrade",\
                "detail":"This port requires TLS; use wss:// or https://","correlation_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}
                """)
        #expect(pair.serverSide.tlsErrors == [.plainHTTP])
        #expect(pair.serverCloses.outputs == 1)
        #expect(pair.server.isActive)
        // The rest of the request is discarded; the end of input closes the connection.
        try pair.server.writeInbound(ByteBuffer(string: "more"))
        #expect(try pair.server.readOutbound(as: ByteBuffer.self) == nil)
        #expect(pair.serverSide.received.isEmpty)
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(!pair.server.isActive)
        #expect(pair.serverSide.errors.count == 1)
    }
}
