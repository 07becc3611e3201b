// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// TLS, HTTP and the upgrade: rejections as problem+json and in-band (protocol page, section "Connecting").
@Suite(.bounded) struct UpgradeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var request: HTTPRequestText
        var status: Int
        var code: String

        init(_ description: String, _ status: Int, _ code: String = "invalid_upgrade", _ change: (inout HTTPRequestText) -> Void) {
            testDescription = description
            request = .upgrade()
            change(&request)
            self.status = status
            self.code = code
        }
    }

    static let rejected: [Case] = [
        Case("another path", 404, "not_found") { $0.target = "/v2/ws" },
        Case("the echo path while disabled", 404, "not_found") { $0.target = "/echo" },
        Case("a path in upper case", 404, "not_found") { $0.target = "/V1/WS" },
        Case("a path with a trailing slash", 404, "not_found") { $0.target = "/v1/ws/" },
        Case("a path that is percent-encoded", 404, "not_found") { $0.target = "/v1/%77s" },
        Case("POST", 405, "not_found") { $0.method = "POST" },
        Case("HEAD", 405, "not_found") { $0.method = "HEAD" },
        Case("POST to a health path", 405, "not_found") {
            $0.target = "/livez"; $0.method = "POST"
        },
        Case("HTTP/1.0", 400) { $0.version = "HTTP/1.0" },
        Case("no Host", 400) { $0["Host"] = nil },
        Case("two Hosts", 400) { $0.fields.append(("Host", "other")) },
        Case("an invalid Host", 400) { $0["Host"] = "a b" },
        Case("no Upgrade", 400) { $0["Upgrade"] = nil },
        Case("another Upgrade", 400) { $0["Upgrade"] = "h2c" },
        Case("no Connection", 400) { $0["Connection"] = nil },
        Case("another Connection", 400) { $0["Connection"] = "keep-alive" },
        Case("no version", 426) { $0["Sec-WebSocket-Version"] = nil },
        Case("version 8", 426) { $0["Sec-WebSocket-Version"] = "8" },
        Case("version 14", 426) { $0["Sec-WebSocket-Version"] = "14" },
        Case("no key", 400) { $0["Sec-WebSocket-Key"] = nil },
        Case("a key of 15 bytes", 400) { $0["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25j" },
        Case("a key that isn't base64", 400) { $0["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZ*==" },
        Case("two keys", 400) { $0.fields.append(("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")) },
        Case("two origins", 400) { $0.fields += [("Origin", "https://a.example"), ("Origin", "https://a.example")] },
        Case("a body", 400) { $0.fields.append(("Content-Length", "5")) },
        Case("a chunked body", 400) { $0.fields.append(("Transfer-Encoding", "chunked")) },
        Case("a subprotocol that isn't a token", 400) { $0.fields.append(("Sec-WebSocket-Protocol", "a b")) },
        Case("a repeated subprotocol", 400) { $0.fields.append(("Sec-WebSocket-Protocol", "parley.v1, parley.v1")) },
        Case("an empty credential", 400) { $0.fields.append(("Sec-WebSocket-Protocol", "parley.v1, bearer.")) },
        Case("two resume tokens", 400) { $0.fields += [("Sec-WebSocket-Protocol", "parley.v1, resume.a"), ("Parley-Resume", "b")] },
        Case("a resume token without the subprotocol", 400) { $0.fields.append(("Sec-WebSocket-Protocol", "resume.secret")) },
        Case("a bearer token without the subprotocol", 400) { $0.fields.append(("Sec-WebSocket-Protocol", "chat, bearer.secret")) },
        Case("an invalid percent-encoding", 400) { $0.target = "/v1/ws?a=%zz" },
        Case("a token in the query", 401, "unauthorized") { $0.target = "/v1/ws?access_token=secret" },
        Case("a resume token in the query", 401, "unauthorized") { $0.target = "/v1/ws?resume=secret" },
    ]

    @Test(arguments: rejected)
    func `an invalid upgrade is rejected with problem+json, and the next client is served`(_ bad: Case) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let response = try await gateway.response(to: bad.request)
        #expect(response.status == bad.status)
        if bad.status == 426 { #expect(response["sec-websocket-version"] == "13") }
        if bad.status == 405 { #expect(response["allow"]?.contains("GET") == true) }
        if bad.request.method != "HEAD" {
            #expect(response["content-type"] == "application/problem+json")
            let problem = try response.json()
            #expect(problem["code"] == .string(bad.code))
            #expect(problem["status"].integer == bad.status)
            #expect(TestWebSocket.isULID(problem["correlation_id"].string))
            #expect(!response.body.contains("secret"))
        }
        try await gateway.client().expectServed()
    }

    @Test(arguments: [
        ("Upgrade among other options", "Connection", "keep-alive, Upgrade"), ("mixed case", "Upgrade", "WebSocket"),
        ("an IPv6 host", "Host", "[::1]:8443"), ("other subprotocols only", "Sec-WebSocket-Protocol", "chat"),
        ("another authorization scheme", "Authorization", "Basic dTpw"),
    ])
    func `an upgrade that the RFC allows is accepted`(_ description: String, name: String, value: String) async throws {
        var request = HTTPRequestText.upgrade()
        request[name] = value
        let client = try await SharedGateways.withoutLimits().webSocket(request)
        #expect(client.response["sec-websocket-accept"] == HTTPRequestText.sampleAccept)
        #expect(client.response["sec-websocket-protocol"] == nil)
        _ = try await client.message("session")
    }

    @Test func `the alias path is served`() async throws {
        let client = try await SharedGateways.withoutLimits().client(.upgrade("/ws"))
        try await client.expectServed()
    }

    @Test func `the subprotocol is echoed, and credentials aren't`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.webSocket(
            .upgrade(adding: [("Sec-WebSocket-Protocol", "resume.TokenMarker123, bearer.BearerMarker456, parley.v1")]))
        #expect(client.response["sec-websocket-protocol"] == "parley.v1")
        #expect(!client.response.fields.contains { $0.value.contains("Marker") })
        let session = try await client.message("session")
        #expect(session["resumed"] == false)
        #expect(session["lost"] == true)
        #expect(session["resume_error"] == "unknown")
        try await client.expectServed()
    }

    @Test func `an unknown resume token in a header is reported in the session message`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let client = try await gateway.webSocket(.upgrade("/v1/ws?last_seq=7", adding: [("Parley-Resume", "abc")]))
        let session = try await client.message("session")
        #expect(session["resume_error"] == "unknown")
        #expect(session["lost"] == true)
        #expect(session["last_seq"] == 0)
    }

    @Test func `with query_tokens credentials in the query are accepted`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["http.query_tokens": "true"])
        let session = try await gateway.webSocket(.upgrade("/v1/ws?resume=abc")).message("session")
        #expect(session["resume_error"] == "unknown")
    }

    @Test func `a frame after the request in the same TLS record is served`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port)
        let first = TestFrame(TestFrame.text, text: #"{"type":"ping","id":"early"}"#).bytes
        let client = try await TestWebSocket(socket, .upgrade(), followedBy: first + first)
        _ = try await client.message("session")
        #expect(try await client.message("pong")["id"] == "early")
        #expect(try await client.message("pong")["id"] == "early")
    }

    @Test func `a partial frame after the request is completed and served`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port)
        let first = TestFrame(TestFrame.text, text: #"{"type":"ping","id":"early"}"#).bytes
        let client = try await TestWebSocket(socket, .upgrade(), followedBy: Array(first.prefix(5)))
        _ = try await client.message("session")
        try await socket.send(first.dropFirst(5))
        #expect(try await client.message("pong")["id"] == "early")
    }

    @Test func `a request that arrives in pieces is served`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port)
        let bytes = HTTPRequestText.upgrade().bytes
        for start in stride(from: 0, to: bytes.count, by: 7) { try await socket.send(bytes[start..<min(start + 7, bytes.count)]) }
        #expect(try await socket.receiveResponse().status == 101)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nBad Header\r\n\r\n", "GET  /other HTTP/1.1\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
    ])
    func `malformed HTTP is rejected`(text: String) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port)
        try await socket.send(Array(text.utf8))
        let response = try await socket.receiveResponse()
        #expect(response.status == 400 || response.status == 404)
        try await gateway.client().expectServed()
    }

    @Test func `plain HTTP on the TLS port is rejected with 400 and an explanation`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port, .none)
        try await socket.send(HTTPRequestText.upgrade().bytes)
        let response = try await socket.receiveResponse()
        #expect(response.status == 400)
        #expect(response["content-type"] == "application/problem+json")
        #expect(try response.json()["code"] == "invalid_upgrade")
        #expect(try response.json()["detail"].string?.contains("TLS") == true)
        try await socket.waitForEnd()
        try await gateway.client().expectServed()
    }

    @Test func `random bytes instead of a TLS handshake close the connection`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port, .none)
        try await socket.send([0x16, 0x03, 0x01, 0x00, 0x05] + [UInt8](repeating: 0xAA, count: 600))
        try await socket.waitForEnd()
        _ = try await gateway.line("tls handshake failed")
        try await gateway.client().expectServed()
    }

    @Test func `a request head of http max_header_bytes is accepted, one byte more is 431`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["http.max_header_bytes": "1KiB"])
        func request(_ count: Int) -> HTTPRequestText {
            let short = HTTPRequestText.upgrade(adding: [("X-Pad", "")])
            return .upgrade(adding: [("X-Pad", String(repeating: "p", count: count - short.bytes.count))])
        }
        #expect(request(1024).bytes.count == 1024)
        try await gateway.client(request(1024)).expectServed()
        let response = try await gateway.response(to: request(1025))
        #expect(response.status == 431)
        #expect(try response.json()["code"] == "header_too_large")
        try await gateway.client().expectServed()
    }

    @Test func `http max_headers fields are accepted, one more is 431`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["http.max_headers": "8"])
        func request(_ count: Int) -> HTTPRequestText { .upgrade(adding: (5..<count).map { ("X-\($0)", "v") }) }
        try await gateway.client(request(8)).expectServed()
        let response = try await gateway.response(to: request(9))
        #expect(response.status == 431)
        #expect(try response.json()["code"] == "header_too_large")
        try await gateway.client().expectServed()
    }

    @Test func `a head over the limit is rejected before its end`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let socket = try await TestSocket.connect(port: gateway.port)
        try await socket.send(Array("GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nX-Pad: ".utf8) + [UInt8](repeating: 0x70, count: 16384))
        #expect(try await socket.receiveResponse().status == 431)
    }

    @Test func `the HTTP/2 preface is rejected with 400 at once, with TLS, without TLS and by the operations listener`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
        let sockets = [
            try await TestSocket.connect(port: gateway.port), try await TestSocket.connect(port: gateway.port, .none),
            try await TestSocket.connect(port: gateway.operationsPort, .none),
        ]
        for socket in sockets {
            try await socket.send(preface)
            #expect(try await socket.receiveResponse().status == 400)
            await socket.close()
        }
        try await gateway.expectNextClientServed()
    }

    @Test(arguments: ["/livez", "/readyz", "/health"])
    func `health checks get responses from both listeners`(path: String) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let front = try await gateway.response(to: HTTPRequestText(path))
        let back = try await gateway.operationsResponse(
            to: HTTPRequestText(path, fields: [("Host", "localhost"), ("Connection", "close")]))
        for response in [front, back] {
            #expect(response.status == 200)
            #expect(response["content-type"]?.hasPrefix("application/json") == true)
            #expect(try response.json()["status"].string != nil)
        }
        if path == "/health" {
            #expect(try front.json()["version"].isNull)
            #expect(try back.json()["version"].string != nil)
            #expect(try back.json()["connections"].integer != nil)
        }
    }

    // MARK: Origins

    @Test func `only allowed origins and requests without Origin are accepted`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["http.allowed_origins": "https://app.example,http://localhost:3000"])
        for origin in ["https://app.example", "http://localhost:3000"] {
            try await gateway.client(.upgrade(adding: [("Origin", origin)])).expectServed()
        }
        try await gateway.client().expectServed()
        for origin in ["https://app.example.evil", "http://app.example", "null", "https://app.example:444"] {
            let response = try await gateway.response(to: .upgrade(adding: [("Origin", origin)]))
            #expect(response.status == 403)
            #expect(try response.json()["code"] == "origin_denied")
        }
    }

    @Test func `origins of apps with a web view can be allowed`() async throws {
        let origins = [
            "null", "file://", "capacitor://localhost", "ionic://localhost", "tauri://localhost", "app://.",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop", "safari-web-extension://A1B2C3D4-0000-4000-8000-00805F9B34FB",
        ]
        let gateway = try await SharedGateways.withoutLimits(["http.allowed_origins": origins.joined(separator: ",")])
        for origin in origins { try await gateway.client(.upgrade(adding: [("Origin", origin)])).expectServed() }
        for origin in ["file:///etc", "capacitor://localhost.evil", "app://..", "chrome-extension://x", "NULL", "https://null", ""] {
            #expect(try await gateway.response(to: .upgrade(adding: [("Origin", origin)])).status == 403)
        }
    }

    // MARK: Health

    @Test(arguments: ["GET", "HEAD", "OPTIONS"], ["/livez", "/readyz", "/health"])
    func `a health check over HTTP/1.0 without Host gets a response on both listeners, and the connection closes`(
        method: String, path: String
    ) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        var request = HTTPRequestText(path, method: method, fields: [])
        request.version = "HTTP/1.0"
        for response in [try await gateway.response(to: request), try await gateway.operationsResponse(to: request)] {
            #expect(response.status == 200)
            #expect(response["connection"] == "close")
            #expect(method == "HEAD" || response.body.contains("\"status\""))
        }
    }

    // MARK: In-band

    @Test func `with errors=inband a rejection is an error message followed by a close frame`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["http.allowed_origins": "https://app.example"])
        let client = try await gateway.webSocket(.upgrade("/v1/ws?errors=inband", adding: [("Origin", "https://evil.example")]))
        try await client.expectFatalError("origin_denied", 4500)
        let second = try await gateway.webSocket(.upgrade("/v1/ws?errors=inband&token=abc", adding: [("Origin", "https://app.example")]))
        try await second.expectFatalError("unauthorized", 4500)
        try await gateway.client().expectServed()
    }

    @Test func `an invalid upgrade is rejected by HTTP even with errors=inband`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        var request = HTTPRequestText.upgrade("/v1/ws?errors=inband")
        request["Sec-WebSocket-Version"] = "12"
        #expect(try await gateway.response(to: request).status == 426)
    }

    @Test func `errors=inband doesn't change a valid upgrade`() async throws {
        try await SharedGateways.withoutLimits().client(.upgrade("/v1/ws?errors=inband")).expectServed()
    }
}
