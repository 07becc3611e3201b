// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Forwarded fields, the listener without TLS, and cross-origin requests. The trusted proxy is 127.0.0.1.
@Suite(.bounded) struct ForwardedTests {
    private static let plain = ["connections.trusted_proxies": "127.0.0.1", "listen.plain": "127.0.0.1:0"]

    @Test func `the listener without TLS serves trusted proxies and closes other connections`() async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.plain)
        let port = try await gateway.plainPort()
        let client = try await TestWebSocket(
            try await TestSocket.connect(port: port, .none),
            .upgrade(adding: [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]))
        let session = try await client.message("session")["session_id"].string ?? ""
        #expect(try await gateway.address(of: session) == "192.0.2.7")
        try await client.expectServed()

        let other = try await TestSocket.connect(port: port, .none, from: "127.0.0.2")
        #expect(try await other.receiveToEnd() == [])
        let line = try await gateway.line("connection rejected: listen.plain admits connections.trusted_proxies only")
        #expect(line["address"] == "127.0.0.2")
        // The listener with TLS is open to all.
        try await gateway.client(from: "127.0.0.2").expectServed()
    }

    @Test func `fields count from a trusted proxy on the listener with TLS, too, and from nobody else`() async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.plain)
        for (peer, expected) in [("127.0.0.1", "192.0.2.7"), ("127.0.0.2", "127.0.0.2:")] {
            let client = try await gateway.webSocket(
                .upgrade(adding: [("Forwarded", "for=198.51.100.1, for=192.0.2.7, for=127.0.0.1")]), from: peer)
            let session = try await client.message("session")["session_id"].string ?? ""
            #expect(try await gateway.address(of: session)?.hasPrefix(expected) == true)
        }
    }

    @Test func `outside of development a client whose proxy announces http gets 403`() async throws {
        let pair = try await TestCertificatePair()
        let gateway = try await GatewayProcess(
            Self.plain.merging([
                "environment": "staging", "tls.certificates": "\(pair.certificate):\(pair.key)", "auth.mode": "none",
                "store.kind": "memory",
            ]) { $1 })
        let port = try await gateway.plainPort()
        for (scheme, status) in [("http", 403), ("https", 101)] {
            let socket = try await TestSocket.connect(port: port, .none)
            try await socket.send(HTTPRequestText.upgrade(adding: [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", scheme)]).bytes)
            let response = try await socket.receiveResponse()
            #expect(response.status == status)
            if status == 403 { #expect(try response.json()["code"] == "forbidden") }
        }
        try await gateway.stop()
    }

    @Test func `a PROXY header works on the listener without TLS`() async throws {
        let gateway = try await SharedGateways.withoutLimits(Self.plain.merging(["listen.proxy_protocol": "optional"]) { $1 })
        let socket = try await TestSocket.connect(
            port: try await gateway.plainPort(), .none, preamble: ProxyHeaderBytes.binary("192.0.2.9"))
        let client = try await TestWebSocket(socket)
        let session = try await client.message("session")["session_id"].string ?? ""
        #expect(try await gateway.address(of: session) == "192.0.2.9:4711")
    }

    @Test func `a drain ends the listener without TLS like the other one`() async throws {
        let gateway = try await GatewayProcess(Self.plain.merging(["shutdown.drain": "5s"]) { $1 })
        let port = try await gateway.plainPort()
        let client = try await TestWebSocket(try await TestSocket.connect(port: port, .none))
        _ = try await client.message("session")
        gateway.signal(SIGTERM)
        _ = try await client.message("goaway")
        await #expect(throws: (any Error).self) { try await TestSocket.connect(port: port, .none) }
        try await client.expectClose(1012)
        #expect(try await gateway.exit() == 0)
    }

    // MARK: Cross-origin requests

    @Test func `curl gets the fields of a listed origin, and a preflight is answered`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["http.allowed_origins": "https://app.example"])
        func curl(_ path: String, _ arguments: [String]) async throws -> [String] {
            let result = try await ChildProcess.run(
                "/usr/bin/curl",
                ["--silent", "--include", "--insecure", "--http1.1"] + arguments + ["https://127.0.0.1:\(gateway.port)\(path)"],
                directory: gateway.directory.path)
            return result.lines.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
        }
        for path in ["/health", "/unknown", "/v1/ws"] {
            let allowed = try await curl(path, ["--header", "Origin: https://app.example"])
            #expect(allowed.contains("Access-Control-Allow-Origin: https://app.example"))
            #expect(allowed.contains("Access-Control-Allow-Credentials: true"))
            #expect(allowed.contains("Vary: Origin"))
            let denied = try await curl(path, ["--header", "Origin: https://evil.example"])
            #expect(!denied.contains { $0.hasPrefix("Access-Control-") })
            let preflight = try await curl(
                path, ["--request", "OPTIONS", "--header", "Origin: https://app.example", "--header", "Access-Control-Request-Method: GET"])
            #expect(preflight.first == "HTTP/1.1 204 No Content")
            #expect(preflight.contains("Access-Control-Allow-Headers: Authorization, Parley-Resume, Content-Type"))
            #expect(preflight.contains("Access-Control-Max-Age: 600"))
        }
    }

    @Test func `a page in Chromium may read the health only from a listed origin`() async throws {
        let directory = try TemporaryDirectory()
        let clients = (#filePath as NSString).deletingLastPathComponent + "/Clients"
        let server = try ChildProcess(
            try Python.path(), ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", clients], directory: directory.path)
        let announced: String? = try await server.output.wait(timeout: .seconds(20)) { output in
            if let status = output.status { throw TestFailure("the web server exited with \(status): \(output.errorLines)") }
            return output.lines.first
        }
        let words = try #require(announced).split(separator: " ")
        let port = try #require(words.firstIndex(of: "port").map { words[$0 + 1] })
        // The same server has two origins.
        let gateway = try await GatewayProcess(["http.allowed_origins": "http://127.0.0.1:\(port)"])
        for (host, expected) in [("127.0.0.1", "PASS 200 400 404"), ("localhost", "TypeError")] {
            let lines = try await Chromium.document(
                of: "http://\(host):\(port)/cross_origin.html?port=\(gateway.port)", directory: directory, profile: host)
            #expect(lines.contains { $0.contains("<p id=\"result\">\(expected)</p>") }, "\(lines.prefix(20))")
        }
        try await gateway.stop()
    }
}

extension GatewayProcess {
    /// The port of the listener without TLS.
    func plainPort() async throws -> Int {
        let line = try await line("listening without TLS for trusted proxies")
        guard let port = line["address"].string?.split(separator: ":").last.flatMap({ Int($0) }) else {
            throw TestFailure("no port in \(line)")
        }
        return port
    }
}
