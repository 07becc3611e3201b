// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Support
import Testing

@Suite struct ForwardedFieldsTests {
    private func harness(_ change: (inout GatewayConfiguration) -> Void = { _ in }) -> LoopHarness {
        LoopHarness {
            $0.connections.trustedProxies = ["10.0.0.0/8"].compactMap { AddressNetwork($0) }
            change(&$0)
        }
    }

    @Test(arguments: [
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"), ("X-Forwarded-For: 192.0.2.1:99\r\n", "192.0.2.1:99"),
        ("X-Forwarded-For: 198.51.100.1, 192.0.2.1, 10.2.2.2\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 198.51.100.1\r\nx-forwarded-for: 192.0.2.1\r\n", "192.0.2.1"),
        ("Forwarded: for=\"[2001:db8::1]:8080\"\r\nX-Forwarded-For: 192.0.2.1\r\n", "[2001:db8::1]:8080"),
        ("X-Forwarded-For: unknown\r\n", "10.1.2.3:50000"), ("", "10.1.2.3:50000"),
    ])
    func `fields of a trusted proxy announce the client`(fields: String, expected: String) throws {
        let harness = harness()
        try harness.connect(from: "10.1.2.3").upgrade(headers: fields)
        #expect(harness.addresses == [expected])
    }

    @Test func `fields of other peers are ignored`() throws {
        let harness = harness()
        try harness.connect(from: "192.0.2.9").upgrade(headers: "X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1;proto=http\r\n")
        #expect(harness.addresses == ["192.0.2.9:50000"])
    }

    @Test func `limits by address bind the announced addresses, and a rejected one gets 429`() throws {
        let harness = harness { $0.connections.perAddress = 2 }
        func connect(_ client: String) throws -> String {
            let connection = try harness.connect(from: "10.1.2.3")
            try connection.send(EmbeddedConnection.request(path: "/v1/ws", headers: "X-Forwarded-For: \(client)\r\n"))
            return String(try connection.responseHead().prefix(12))
        }
        for client in ["192.0.2.1", "192.0.2.2"] {
            #expect(try [connect(client), connect(client), connect(client)] == ["HTTP/1.1 101", "HTTP/1.1 101", "HTTP/1.1 429"])
        }
    }

    @Test func `the handshake rate binds the announced addresses of requests`() throws {
        let harness = harness { $0.connections.handshakesPerSecond = 3 }
        func status(_ client: String) throws -> String {
            let connection = try harness.connect(from: "10.1.2.3")
            try connection.send("GET /livez HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: \(client)\r\n\r\n")
            return String(try connection.responseHead().split(separator: " ")[1])
        }
        #expect(try (0..<4).map { _ in try status("192.0.2.1") } == ["200", "200", "200", "429"])
        #expect(try status("192.0.2.2") == "200")
    }

    @Test(arguments: [
        ("X-Forwarded-Proto: http\r\n", true), ("Forwarded: for=192.0.2.1;proto=http\r\n", true), ("X-Forwarded-Proto: https\r\n", false),
        ("", false),
    ])
    func `a client without TLS is rejected outside of development`(fields: String, isRejected: Bool) throws {
        let harness = harness { $0.environment = .staging }
        let connection = try harness.connect(from: "10.1.2.3")
        try connection.send(EmbeddedConnection.request(path: "/v1/ws", headers: fields))
        #expect(try connection.responseHead().hasPrefix(isRejected ? "HTTP/1.1 403 " : "HTTP/1.1 101 "))
        // In development, and from peers that aren't proxies.
        try self.harness().connect(from: "10.1.2.3").upgrade(headers: fields)
        try harness.connect(from: "192.0.2.9").upgrade(headers: fields)
        // Health checks need no TLS.
        let health = try harness.connect(from: "10.1.2.3")
        try health.send("GET /livez HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
        #expect(try health.responseHead().hasPrefix("HTTP/1.1 200 "))
    }
}

@Suite struct CrossOriginTests {
    private func head(_ request: String, origins: [String]) throws -> String {
        let harness = LoopHarness { $0.http.allowedOrigins = origins }
        let connection = try harness.connect()
        try connection.send(request)
        return try connection.responseHead()
    }

    private func fields(_ head: String) -> [String: String] {
        var fields: [String: String] = [:]
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ": ", maxSplits: 1)
            fields[parts[0].lowercased()] = parts.count > 1 ? String(parts[1]) : ""
        }
        return fields
    }

    private static let allowed = "https://app.example"

    @Test(arguments: ["/livez", "/readyz", "/health", "/v1/ws", "/unknown", "/%", "*"], ["GET", "HEAD", "POST", "OPTIONS"])
    func `each response echoes a listed origin, and tells caches`(target: String, method: String) throws {
        let request = "\(method) \(target) HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n\r\n"
        let found = fields(try head(request, origins: ["https://other.example", Self.allowed]))
        #expect(found["access-control-allow-origin"] == Self.allowed)
        #expect(found["access-control-allow-credentials"] == "true")
        #expect(found["vary"] == "Origin")
    }

    @Test(arguments: ["https://app.example.evil", "http://app.example", "null", "https://app.example, https://b.example", "*", ""])
    func `another origin gets no field`(origin: String) throws {
        for preflight in ["", "Access-Control-Request-Method: GET\r\n"] {
            let request = "OPTIONS /health HTTP/1.1\r\nHost: a\r\nOrigin: \(origin)\r\n\(preflight)\r\n"
            #expect(!fields(try head(request, origins: [Self.allowed])).keys.contains { $0.hasPrefix("access-control") })
        }
        let twice = "GET /health HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nOrigin: https://app.example\r\n\r\n"
        #expect(!fields(try head(twice, origins: [Self.allowed])).keys.contains { $0.hasPrefix("access-control") })
    }

    @Test func `any origin is allowed without credentials`() throws {
        let request = "GET /health HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n\r\n"
        let found = fields(try head(request, origins: ["*"]))
        #expect(found["access-control-allow-origin"] == "*")
        #expect(found["access-control-allow-credentials"] == nil)
        #expect(found["vary"] == nil)
        // A listed origin may send credentials beside it.
        let both = fields(try head(request, origins: ["*", Self.allowed]))
        #expect(both["access-control-allow-origin"] == Self.allowed)
        #expect(both["access-control-allow-credentials"] == "true")
        #expect(both["vary"] == "Origin")
    }

    @Test func `a request without an origin gets no field but Vary`() throws {
        let found = fields(try head("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", origins: [Self.allowed]))
        #expect(!found.keys.contains { $0.hasPrefix("access-control") })
        #expect(found["vary"] == "Origin")
    }

    @Test(arguments: ["/health", "/v1/ws", "/unknown"])
    func `a preflight gets 204 with methods, fields and a maximum age`(target: String) throws {
        let request =
            "OPTIONS \(target) HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n"
            + "Access-Control-Request-Headers: authorization\r\n\r\n"
        let head = try head(request, origins: [Self.allowed])
        let found = fields(head)
        #expect(head.hasPrefix("HTTP/1.1 204 "))
        #expect(found["access-control-allow-methods"] == "GET, HEAD, OPTIONS")
        #expect(found["access-control-allow-headers"] == "Authorization, Parley-Resume, Content-Type")
        #expect(found["access-control-max-age"] == "600")
        #expect(found["access-control-allow-origin"] == Self.allowed)
        #expect(found["content-length"] == nil)
    }

    @Test func `OPTIONS of a load balancer gets the health response`() throws {
        for fields in ["", "Origin: https://app.example\r\n", "Access-Control-Request-Method: GET\r\n"] {
            let request = "OPTIONS /readyz HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
            #expect(!(try head(request, origins: [Self.allowed])).hasPrefix("HTTP/1.1 204 "))
        }
    }
}
