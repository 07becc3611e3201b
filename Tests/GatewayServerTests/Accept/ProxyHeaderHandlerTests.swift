// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
import Support
import Testing

@Suite struct ProxyHeaderHandlerTests {
    private func harness(_ mode: ProxyProtocolMode, _ change: (inout GatewayConfiguration) -> Void = { _ in }) -> LoopHarness {
        LoopHarness {
            $0.connections.trustedProxies = ["10.0.0.0/8"].compactMap { AddressNetwork($0) }
            $0.listen.proxyProtocol = mode
            change(&$0)
        }
    }

    private static let request = Array(EmbeddedConnection.request(path: "/v1/ws").utf8)

    @Test(arguments: [ProxyProtocolMode.optional, .required], [ProxyHeaderBytes.line("192.0.2.7"), ProxyHeaderBytes.binary("192.0.2.7")])
    func `the announced address is the connection's, however the bytes are split`(mode: ProxyProtocolMode, header: [UInt8]) throws {
        for split in [1, 5, 11, 12, 13, header.count - 1, header.count, header.count + 1] {
            let harness = harness(mode)
            let connection = try harness.connect(from: "10.1.2.3")
            let bytes = header + Self.request
            try connection.send(bytes[..<split])
            try connection.send(bytes[split...])
            #expect(try connection.responseHead().hasPrefix("HTTP/1.1 101 "))
            #expect(harness.addresses == ["192.0.2.7:4711"])
        }
        let harness = harness(mode)
        let connection = try harness.connect(from: "10.1.2.3")
        for byte in header + Self.request { try connection.send([byte]) }
        #expect(try connection.responseHead().hasPrefix("HTTP/1.1 101 "))
        #expect(harness.addresses == ["192.0.2.7:4711"])
    }

    @Test func `without a header, an optional one is skipped, and a required one closes`() throws {
        for split in [0, 1, 2] {
            let optional = harness(.optional)
            let connection = try optional.connect(from: "10.1.2.3")
            // The first letters of the request are those of "PROXY".
            let bytes = Array("PR".utf8)
            try connection.send(bytes[..<split])
            try connection.send(bytes[split...] + Array("I * HTTP/2.0\r\n\r\n".utf8))
            #expect(try connection.responseHead().hasPrefix("HTTP/1.1 400 "))
        }
        let required = harness(.required)
        let connection = try required.connect(from: "10.1.2.3")
        try connection.send(Self.request)
        #expect(connection.isClosed)
        #expect(required.loop.counters.rejected == 1)
    }

    @Test(arguments: [ProxyProtocolMode.optional, .required])
    func `an untrusted peer connects directly, and its header is no header`(mode: ProxyProtocolMode) throws {
        let harness = harness(mode)
        let direct = try harness.connect(from: "192.0.2.9")
        try direct.upgrade()
        #expect(harness.addresses == ["192.0.2.9:50000"])
        let other = try harness.connect(from: "192.0.2.9")
        try other.send(ProxyHeaderBytes.line("192.0.2.7") + Self.request)
        #expect(try other.responseHead().hasPrefix("HTTP/1.1 400 "))
    }

    @Test(arguments: [
        ProxyHeaderBytes.header(0x31, 0x11, []), ProxyHeaderBytes.header(0x21, 0x11, [1]), Array("PROXY nonsense\r\n".utf8),
        Array("PROXY ".utf8) + Array(repeating: 0x41, count: 101),
    ])
    func `a malformed header closes`(header: [UInt8]) throws {
        let harness = harness(.optional)
        let connection = try harness.connect(from: "10.1.2.3")
        try connection.send(header)
        #expect(connection.isClosed)
        #expect(harness.loop.counters.rejected == 1)
        #expect(harness.shared.connectionLimits.webSockets == 0)
    }

    @Test func `an incomplete header closes at the deadline of the handshake`() throws {
        let harness = harness(.required) { $0.tls.handshakeTimeout = .seconds(3) }
        let connection = try harness.connect(from: "10.1.2.3")
        try connection.send("PROXY TCP4 ")
        harness.advance(by: .milliseconds(2900))
        #expect(!connection.isClosed)
        harness.advance(by: .milliseconds(200))
        #expect(connection.isClosed)
    }

    @Test func `limits by address bind the announced addresses, and not the proxy`() throws {
        let harness = harness(.required) { $0.connections.perAddress = 1 }
        var open: [EmbeddedConnection] = []
        for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            let connection = try harness.connect(from: "10.1.2.3")
            try connection.send(ProxyHeaderBytes.binary(client))
            try connection.upgrade()
            open.append(connection)
        }
        let second = try harness.connect(from: "10.1.2.3")
        try second.send(ProxyHeaderBytes.binary("192.0.2.1") + Self.request)
        #expect(try second.responseHead().hasPrefix("HTTP/1.1 429 "))
        try open[0].channel.close().wait()
        harness.eventLoop.runPendingTasks()
        let third = try harness.connect(from: "10.1.2.3")
        try third.send(ProxyHeaderBytes.binary("192.0.2.1"))
        try third.upgrade()
    }

    @Test func `the limit on sockets of the announced address closes before TLS, and is released`() throws {
        // With one WebSocket per address, 18 sockets.
        let harness = harness(.required) { $0.connections.perAddress = 1 }
        var open: [EmbeddedConnection] = []
        for _ in 0..<19 {
            let connection = try harness.connect(from: "10.1.2.3")
            try connection.send(ProxyHeaderBytes.line("192.0.2.1"))
            open.append(connection)
        }
        #expect(open.map(\.isClosed) == Array(repeating: false, count: 18) + [true])
        for connection in open where !connection.isClosed { try connection.channel.close().wait() }
        harness.eventLoop.runPendingTasks()
        let next = try harness.connect(from: "10.1.2.3")
        try next.send(ProxyHeaderBytes.line("192.0.2.1"))
        #expect(!next.isClosed)
    }

    @Test(arguments: [ProxyHeaderBytes.local, Array("PROXY UNKNOWN\r\n".utf8), ProxyHeaderBytes.header(0x21, 0x00, [])])
    func `without an announced address no limit by address applies`(header: [UInt8]) throws {
        let harness = harness(.required) { $0.connections.perAddress = 1 }
        for _ in 0..<20 {
            let connection = try harness.connect(from: "10.1.2.3")
            try connection.send(header)
            try connection.upgrade()
        }
        #expect(Set(harness.addresses) == ["10.1.2.3:50000"])
    }

    @Test func `header fields count on top of the announced address only if it is a trusted proxy's`() throws {
        let cases = [
            (ProxyHeaderBytes.line("192.0.2.7"), "192.0.2.7:4711"), (ProxyHeaderBytes.line("10.9.9.9"), "198.51.100.1"),
            (ProxyHeaderBytes.local, "198.51.100.1"), (Array("PROXY UNKNOWN\r\n".utf8), "10.1.2.3:50000"), ([], "198.51.100.1"),
        ]
        for (header, expected) in cases {
            let harness = harness(.optional)
            let connection = try harness.connect(from: "10.1.2.3")
            try connection.send(header)
            try connection.upgrade(headers: "X-Forwarded-For: 203.0.113.5, 198.51.100.1\r\n")
            #expect(harness.addresses == [expected])
        }
    }
}
