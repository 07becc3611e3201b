// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// PROXY protocol headers in front of the TLS handshake. The trusted proxy is 127.0.0.1; other addresses of 127.0.0.0/8 aren't trusted.
@Suite(.bounded) struct ProxyProtocolTests {
    private static let flags = ["connections.trusted_proxies": "127.0.0.1", "listen.proxy_protocol": "optional"]

    private static let headers = [ProxyHeaderBytes.line("192.0.2.7"), ProxyHeaderBytes.binary("192.0.2.7")]

    @Test(arguments: headers, ["optional", "required"])
    func `a proxy's header announces the client, in either version`(header: [UInt8], mode: String) async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.flags.merging(["listen.proxy_protocol": mode]) { $1 })
        let client = try await gateway.client(after: header)
        #expect(try await gateway.address(of: client.session) == "192.0.2.7:4711")
        try await client.socket.expectServed()
    }

    @Test func `the log has the client's address, the proxy's, and the names of the header`() async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.flags)
        let certificate = ProxyHeaderBytes.tlv(0x22, Array("Zoë\n".utf8))
        let extensions: [(UInt8, [UInt8])] = [
            (0x02, Array("parley.example".utf8)), (0x20, [7, 0, 0, 0, 0] + certificate), (0xEE, Array(repeating: 1, count: 9000)),
        ]
        let client = try await gateway.client(after: ProxyHeaderBytes.binary("192.0.2.8", extensions: extensions))
        try await client.socket.send(["type": "bye"])
        let line = try await gateway.line { $0["msg"] == "connection closed" && $0["address"] == "192.0.2.8:4711" }
        #expect(line["proxy"].string?.hasPrefix("127.0.0.1:") == true)
        #expect(line["server_name"] == "parley.example")
        #expect(line["client_certificate"] == "Zoë")
    }

    @Test func `a trusted proxy without a header is the client itself, unless a header is required`() async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.flags)
        let client = try await gateway.client(after: [])
        #expect(try await gateway.address(of: client.session)?.hasPrefix("127.0.0.1:") == true)
        let local = try await gateway.client(after: ProxyHeaderBytes.local)
        #expect(try await gateway.address(of: local.session)?.hasPrefix("127.0.0.1:") == true)
        let strict = try await SharedGateways.withoutLimits(Self.flags.merging(["listen.proxy_protocol": "required"]) { $1 })
        await #expect(throws: TestFailure.self) { try await TestSocket.connect(port: strict.port) }
        let line = try await strict.line { $0["reason"] == "missing PROXY header" }
        #expect(line["msg"] == "connection from a proxy rejected")
    }

    @Test(arguments: ["optional", "required"])
    func `another peer connects directly, and its header fails the handshake`(mode: String) async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.flags.merging(["listen.proxy_protocol": mode]) { $1 })
        let client = try await gateway.client(after: [], from: "127.0.0.2")
        #expect(try await gateway.address(of: client.session)?.hasPrefix("127.0.0.2:") == true)
        for header in Self.headers {
            await #expect(throws: TestFailure.self) {
                try await TestSocket.connect(port: gateway.port, from: "127.0.0.2", preamble: header)
            }
        }
    }

    @Test func `without listen proxy_protocol a header fails the handshake, even a trusted proxy's`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["connections.trusted_proxies": "127.0.0.1"])
        for header in Self.headers {
            await #expect(throws: TestFailure.self) { try await TestSocket.connect(port: gateway.port, preamble: header) }
        }
        try await gateway.expectNextClientServed()
    }

    @Test func `a malformed header closes the connection, and the log says why`() async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.flags)
        await #expect(throws: TestFailure.self) {
            try await TestSocket.connect(port: gateway.port, preamble: ProxyHeaderBytes.header(0x21, 0x11, [1, 2, 3]))
        }
        let line = try await gateway.line { $0["error"] == "the addresses exceed the header's length" }
        #expect(line["msg"] == "connection from a proxy rejected")
    }

    @Test func `limits by address bind the announced addresses, and not the proxy`() async throws {
        let gateway = try await GatewayProcess(
            Self.flags.merging(["connections.per_address": "2", "connections.handshakes_per_second": "0"]) { $1 })
        var clients: [TestWebSocket] = []
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"] {
            clients.append(try await gateway.client(after: ProxyHeaderBytes.binary(address)).socket)
        }
        func status(_ header: [UInt8]) async throws -> Int {
            let socket = try await TestSocket.connect(port: gateway.port, preamble: header)
            try await socket.send(HTTPRequestText.upgrade().bytes)
            return try await socket.receiveResponse().status
        }
        #expect(try await status(ProxyHeaderBytes.line("192.0.2.1")) == 429)
        #expect(try await status(ProxyHeaderBytes.line("192.0.2.3")) == 101)
        // The proxy itself has no limit.
        for _ in 0..<5 { clients.append(try await gateway.client(after: ProxyHeaderBytes.local).socket) }
        try await gateway.stop()
    }
}

extension GatewayProcess {
    /// Opens a WebSocket after a PROXY header. Returns it with the id of its session.
    func client(after header: [UInt8], from address: String? = nil) async throws -> (socket: TestWebSocket, session: String) {
        let client = try await TestWebSocket(try await TestSocket.connect(port: port, from: address, preamble: header))
        return (client, try await client.message("session")["session_id"].string ?? "")
    }

    /// The address of a session's client, as the operations listener shows it.
    func address(of session: String) async throws -> String? {
        try JSON(try await operationsResponse(to: HTTPRequestText("/v1/sessions/\(session)")).body)["connection"]["address"].string
    }
}
