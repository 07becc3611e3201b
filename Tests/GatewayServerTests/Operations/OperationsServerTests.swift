// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import NIOCore
import NIOPosix
import Synchronization
import Testing

@Suite struct OperationsServerTests {
    private func problem(_ status: Int, _ title: String, _ code: String, _ detail: String) -> String {
        #"{"type":"about:blank","title":"\#(title)","status":\#(status),"detail":"\#(detail)","code":"\#(code)","correlation_id":"ID"}"#
    }

    @Test func `health has details, and names the parts that aren't ready`() async throws {
        try await OperationsHarness.run(token: "secret", requiresToken: true) { server in
            let live = try await server.send("GET /livez")
            #expect(live.status == 200)
            #expect(live.body == #"{"status":"ok"}"#)
            #expect(live.fields["content-type"] == "application/json")
            #expect(live.fields["cache-control"] == "no-store")
            #expect(live.fields["x-content-type-options"] == "nosniff")
            #expect(live.fields["cross-origin-resource-policy"] == "same-origin")
            for part in HealthPart.allCases { server.health.set(part, .ready) }
            server.health.set(.accepting, .notReady("draining"))
            let parts = #"{"name":"listener","ready":true},{"name":"certificates","ready":true},{"name":"store","ready":true}"#
            let ready = try await server.send("GET /readyz")
            #expect(ready.status == 503)
            let rest = #"{"name":"configuration","ready":true},{"name":"descriptors","ready":true},{"name":"token_keys","ready":true}]"#
            #expect(
                ready.body == #"{"status":"not_ready","parts":["# + parts
                    + #",{"name":"accepting","ready":false,"reason":"draining"},"# + rest + "}")
            server.health.set(.accepting, .ready)
            #expect(try await server.send("GET /readyz?verbose").status == 200)
            let health = try await server.send("GET /health")
            #expect(health.status == 200)
            #expect(
                health.body == #"{"status":"ready","parts":["# + parts + #",{"name":"accepting","ready":true},"# + rest
                    + #","version":"1.0","#
                    + #""environment":"staging","uptime_ms":61000,"connections":3,"sessions":2,"upstreams":[]}"#)
            let head = try await server.send("HEAD /livez")
            #expect(head.status == 200)
            #expect(head.body == "")
        }
    }

    @Test func `the counters are one JSON object with sorted names`() async throws {
        try await OperationsHarness.run(token: "secret") { server in
            let response = try await server.send("GET /v1/gateway", ["Authorization: Bearer secret"])
            #expect(response.status == 200)
            #expect(
                response.body
                    == #"{"bytes":{"in":7,"out":8},"closes":{"1000":1},"commit":"c4d668a","connections":{"accepted":10,"max":1000,"missed_pongs":0,"open":3,"refused":4},"#
                    + #""environment":"staging","errors":{"invalid_json":1,"rate_limited":2},"log":{"dropped":0,"written":9},"#
                    + #""messages":{"in":5,"out":6},"reports":{"cache":{"bytes":0,"hits":0,"misses":0,"size":0}},"sessions":{"attached":2,"detached":0,"memory_bytes":4096},"started_at":1767323045678,"#
                    + #""state":"running","upstreams":[],"uptime_ms":61000,"version":"1.0"}"#)
        }
    }

    @Test func `without the token there is only health, and the token can change at run time`() async throws {
        try await OperationsHarness.run(token: "first") { server in
            for line in ["GET /v1/gateway", "POST /v1/gateway/reload", "GET /nothing"] {
                let rejected = try await server.send(line, ["Authorization: Bearer wrong"])
                #expect(rejected.status == 401)
                #expect(rejected.fields["www-authenticate"] == #"Bearer realm="parley operations""#)
                #expect(
                    rejected.problem
                        == problem(
                            401, "Unauthorized", "unauthorized",
                            "missing or wrong token; send Authorization: Bearer and a token of operations.token or operations.tokens"))
            }
            #expect(try await server.send("GET /v1/gateway", ["Authorization: Bearer first"]).status == 200)
            server.token.set("second")
            #expect(try await server.send("GET /v1/gateway", ["Authorization: Bearer first"]).status == 401)
            #expect(try await server.send("GET /v1/gateway", ["Authorization: Bearer second"]).status == 200)
            server.token.set(nil)
            #expect(try await server.send("GET /v1/gateway").status == 200)
        }
    }

    @Test func `in production without a token only health is accessible`() async throws {
        try await OperationsHarness.run(requiresToken: true) { server in
            let rejected = try await server.send("GET /v1/gateway", ["Authorization: Bearer x"])
            #expect(rejected.problem == problem(403, "Forbidden", "forbidden", "rejected until operations.token is configured"))
            #expect(try await server.send("GET /livez").status == 200)
        }
    }

    @Test func `requests from web pages of other origins are rejected`() async throws {
        try await OperationsHarness.run { server in
            let foreign = problem(403, "Forbidden", "origin_denied", "requests from web pages of other origins are rejected")
            #expect(try await server.send("POST /v1/gateway/reload", ["Origin: https://evil.example"]).problem == foreign)
            #expect(try await server.send("GET /livez", ["Origin: null"]).problem == foreign)
            #expect(try await server.send("GET /livez", ["Sec-Fetch-Site: cross-site"]).problem == foreign)
            #expect(try await server.send("GET /livez", ["Origin: http://127.0.0.1:\(server.address.port ?? 0)"]).status == 200)
            let rebound = try await server.send("GET /v1/gateway", ["Host: evil.example", "Connection: close"], raw: true)
            #expect(
                rebound.problem
                    == problem(403, "Forbidden", "forbidden", "Host must be an IP address, localhost or the host of operations.address"))
            let expected = problem(400, "Bad Request", "forbidden", "exactly one Host header is required")
            #expect(
                try await server.send("GET /livez", ["Host: localhost", "Host: localhost", "Connection: close"], raw: true).problem
                    == expected)
            #expect(try await server.send("GET /livez", ["Connection: close"], raw: true).problem == expected)
            #expect(
                try await server.send("GET http://evil.example/livez", ["Host: localhost", "Connection: close"], raw: true).status == 200)
        }
    }

    @Test func `health accepts any Host, and has no details with a foreign one`() async throws {
        try await OperationsHarness.run { server in
            for part in HealthPart.allCases { server.health.set(part, .ready) }
            server.health.watch(.configuration) { "refused" }
            for path in ["/livez", "/readyz", "/health"] {
                let response = try await server.send("GET \(path)", ["Host: parley.internal", "Connection: close"], raw: true)
                #expect(response.status == 200)
                #expect(!response.body.contains("version") && !response.body.contains("refused") && !response.body.contains("degraded"))
            }
            #expect(try await server.send("GET /health").body.contains(#""degraded":true,"reason":"refused""#))
            server.health.set(.store, .notReady("full"))
            let ready = try await server.send("GET /readyz", ["Host: parley.internal", "Connection: close"], raw: true)
            #expect(ready.status == 503 && !ready.body.contains("full"))
        }
    }

    @Test func `HTTP/1.0 requires no Host, and the connection closes after the response`() async throws {
        try await OperationsHarness.run(token: "secret") { server in
            for part in HealthPart.allCases { server.health.set(part, .ready) }
            for request in ["GET /readyz HTTP/1.0", "OPTIONS /readyz HTTP/1.0", "GET /livez HTTP/1.0\r\nConnection: keep-alive"] {
                let response = HTTPReply(try await server.exchange(request + "\r\n\r\n"))
                #expect(response.status == 200)
                #expect(response.fields["connection"] == "close")
            }
            #expect(HTTPReply(try await server.exchange("GET /v1/gateway HTTP/1.0\r\n\r\n")).status == 401)
            let response = HTTPReply(try await server.exchange("GET /v1/sessions HTTP/1.0\r\nAuthorization: Bearer secret\r\n\r\n"))
            #expect(response.status == 200)
            let lines = try await server.exchange(
                "GET /v1/sessions HTTP/1.0\r\nAuthorization: Bearer secret\r\nAccept: application/x-ndjson\r\n\r\n")
            #expect(lines.hasPrefix("HTTP/1.0 200") && !lines.contains("chunked"))
            // HTTP/1.1 requires Host (RFC 9112 §3.2).
            #expect(HTTPReply(try await server.exchange("GET /readyz HTTP/1.1\r\n\r\n")).status == 400)
        }
    }

    @Test func `the connection closes after 400, 401, 403 and 413`() async throws {
        try await OperationsHarness.run(token: "secret") { server in
            let requests = [
                ("GET /livez HTTP/1.1\r\n\r\n", 400), ("GET /v1/gateway HTTP/1.1\r\nHost: localhost\r\n\r\n", 401),
                ("GET /livez HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n", 403),
                ("GET /v1/gateway HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
                ("POST /v1/gateway/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 401),
                (
                    "POST /v1/gateway/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nContent-Length: 1025\r\n\r\n",
                    413
                ),
            ]
            for (request, status) in requests {
                let response = HTTPReply(try await server.exchange(request))
                #expect(response.status == status)
                #expect(response.fields["connection"] == "close")
            }
        }
    }

    @Test func `an upstream is reset by name`() async throws {
        try await OperationsHarness.run { server in
            let response = try await server.send("POST /v1/upstreams/chat/reset")
            #expect(response.status == 200)
            #expect(response.body.hasPrefix(#"{"active":0,"cancelled":0,"#) && response.body.contains(#""name":"chat""#))
            let unknown = try await server.send("POST /v1/upstreams/other/reset")
            #expect(unknown.problem == problem(404, "Not Found", "not_found", "there is no such upstream"))
            #expect(try await server.send("GET /v1/upstreams/chat/reset").fields["allow"] == "POST")
            #expect(try await server.send("POST /v1/upstreams/chat/reset", ["Origin: https://evil.example"]).status == 403)
            server.token.set("secret")
            #expect(try await server.send("POST /v1/upstreams/chat/reset").status == 401)
        }
    }

    @Test func `unknown paths get 404, and other methods 405 with Allow`() async throws {
        try await OperationsHarness.run { server in
            #expect(
                try await server.send("GET /nothing").problem == problem(404, "Not Found", "not_found", "unknown path"))
            let post = try await server.send("POST /livez")
            #expect(
                post.problem == problem(405, "Method Not Allowed", "not_found", "method not allowed; this path supports GET, HEAD, OPTIONS")
            )
            #expect(post.fields["allow"] == "GET, HEAD, OPTIONS")
            #expect(try await server.send("GET /v1/gateway/reload").fields["allow"] == "POST")
            for line in ["OPTIONS *", "CONNECT 127.0.0.1:1", "TRACE /livez", "BREW /coffee"] {
                let response = try await server.send(line)
                #expect((400..<500).contains(response.status))
            }
            #expect(try await server.send("GET /livez").status == 200)
        }
    }

    @Test func `a reload reports what changed and what needs a restart`() async throws {
        let report = ReloadReport(changed: ["logging.level"], needsRestart: ["listen.address"])
        try await OperationsHarness.run(reload: report) { server in
            let response = try await server.send("POST /v1/gateway/reload", body: String(repeating: " ", count: 1024))
            #expect(response.status == 200)
            #expect(response.body == #"{"changed":["logging.level"],"needs_restart":["listen.address"],"problems":[]}"#)
        }
    }

    @Test func `a rejected reload reports all problems`() async throws {
        try await OperationsHarness.run(reload: ReloadReport(problems: ["a: \"x\"", "b"])) { server in
            let response = try await server.send("POST /v1/gateway/reload")
            #expect(response.status == 422)
            #expect(response.body.contains(#""code":"invalid_message""#))
            #expect(response.body.hasSuffix(#""problems":["a: \"x\"","b"]}"#))
        }
    }

    @Test func `a body over the limit is rejected and the connection closed`() async throws {
        try await OperationsHarness.run { server in
            let response = try await server.send(
                "POST /v1/gateway/reload", ["Host: localhost"], body: String(repeating: "x", count: 1025), raw: true)
            #expect(
                response.problem
                    == problem(413, "Content Too Large", "message_too_large", "request body too large; the limit is 1024 bytes"))
            #expect(response.fields["connection"] == "close")
            #expect(try await server.send("POST /v1/gateway/reload").status == 200)
        }
    }

    @Test(arguments: [65_537, 300_000])
    func `a body far over the limit is rejected with Content-Length and with chunked encoding`(bytes: Int) async throws {
        try await OperationsHarness.run { server in
            let body = String(repeating: "x", count: bytes)
            for line in ["POST /v1/gateway/reload", "PATCH /v1/sessions/01M7Z0GBVNP4PTK6KNRMW7YRGV", "GET /v1/gateway"] {
                let response = try await server.send(line, ["Host: localhost"], body: body, raw: true)
                #expect(response.status == 413)
                #expect(response.body.contains(#""code":"message_too_large""#))
            }
            for line in ["POST /v1/gateway/reload", "PATCH /v1/sessions/01M7Z0GBVNP4PTK6KNRMW7YRGV"] {
                let head = "\(line) HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                let response = HTTPReply(try await server.exchange(head + String(bytes, radix: 16) + "\r\n" + body + "\r\n0\r\n\r\n"))
                #expect(response.status == 413)
            }
            #expect(try await server.send("POST /v1/gateway/reload").status == 200)
        }
    }

    @Test func `a body that no route reads closes the connection at its limit`() async throws {
        var limits = OperationsLimits()
        limits.bodyBytes = 100
        try await OperationsHarness.run(limits: limits) { server in
            let under = try await server.send("GET /livez", body: String(repeating: "x", count: 100))
            #expect(under.status == 200)
            let head = "GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            _ = try await server.exchange(head + "65\r\n" + String(repeating: "x", count: 101) + "\r\n")
            #expect(try await server.send("GET /livez").status == 200)
        }
    }

    @Test func `a head over its limits gets 400`() async throws {
        var limits = OperationsLimits()
        limits.headerFieldBytes = 200
        limits.headerFields = 5
        try await OperationsHarness.run(limits: limits) { server in
            let long = String(repeating: "a", count: 201)
            let heads: [(line: String, fields: [String], status: Int)] = [
                ("GET /livez", ["X: \(long)"], 400),
                ("GET /\(long)", [], 400),
                ("GET /livez", Array(repeating: "X: y", count: 4), 400),
                ("GET /livez", Array(repeating: "X: y", count: 3), 200),
            ]
            for head in heads {
                let response = try await server.send(head.line, head.fields)
                #expect(response.status == head.status)
            }
        }
    }

    @Test func `invalid bytes get 400, and the next client a response`() async throws {
        try await OperationsHarness.run { server in
            for bytes in ["\u{16}\u{3}\u{1} hello\r\n\r\n", "GET /livez\r\n\r\n", "GET /livez HTTP/9.9\r\n\r\n"] {
                let response = HTTPReply(try await server.exchange(bytes))
                #expect(response.status == 400)
            }
            let response = try await server.send("GET /livez")
            #expect(response.status == 200)
        }
    }

    @Test func `a connection serves several requests`() async throws {
        try await OperationsHarness.run { server in
            let one = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let last = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            let text = try await server.exchange(one + one + last)
            #expect(text.ranges(of: #"{"status":"ok"}"#).count == 3)
        }
    }

    @Test func `an incomplete request is closed at its deadline, a silent connection at the deadline of its first head`() async throws {
        var limits = OperationsLimits()
        limits.requestTimeout = .seconds(1)
        try await OperationsHarness.run(limits: limits) { server in
            let text = try await server.exchange("POST /v1/gateway/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12")
            #expect(text == "")
            #expect(try await server.send("GET /livez").status == 200)
        }
        limits = OperationsLimits()
        limits.headTimeout = .seconds(1)
        try await OperationsHarness.run(limits: limits) { server in
            for start in ["", "GET /livez HTTP/1.1\r\nHo"] {
                let text = try await server.exchange(start)
                #expect(text == "")
            }
        }
    }

    @Test func `at the limit a new connection replaces the one that has waited longest for its client`() async throws {
        var limits = OperationsLimits()
        (limits.connections, limits.healthConnections, limits.headTimeout) = (2, 1, .hours(1))
        try await OperationsHarness.run(limits: limits) { server in
            let first = try await server.connect()
            let request = ByteBuffer(string: "GET /v1/gateway HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try await first.executeThenClose { inbound, outbound in
                var responses = inbound.makeAsyncIterator()
                try await outbound.write(request)
                #expect(try await responses.next() != nil)
                // Silent connections, and one with an incomplete head: each replaces the previous one.
                var silent: [any Channel] = []
                for start in ["", "GET /liv", ""] {
                    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(to: server.address).get()
                    try await channel.writeAndFlush(ByteBuffer(string: start))
                    silent.append(channel)
                }
                // The first connection has waited longer than the last two.
                #expect(try await responses.next() == nil)
                #expect(try await server.send("GET /v1/gateway").status == 200)
                #expect(try await server.send("GET /livez").status == 200)
                for channel in silent { try? await channel.close().get() }
            }
        }
    }

    @Test func `health gets responses while requests occupy all other connections`() async throws {
        var limits = OperationsLimits()
        (limits.connections, limits.healthConnections) = (2, 2)
        let (releases, release) = AsyncStream.makeStream(of: Void.self)
        let released = Task { for await _ in releases {} }
        try await OperationsHarness.run(limits: limits, reloadsAfter: released) { server in
            async let first = server.send("POST /v1/gateway/reload")
            async let second = server.send("POST /v1/gateway/reload")
            while server.reloads.get() < 2 { await Task.yield() }
            let rejected = try await server.send("GET /v1/gateway")
            #expect(
                rejected.problem == problem(503, "Service Unavailable", "connection_limit", "Connection limit reached (2); retry after 1 s")
            )
            #expect(rejected.fields["retry-after"] == "1")
            for _ in 0..<3 { #expect(try await server.send("GET /livez").status == 200) }
            release.finish()
            let responses = try await [first, second]
            #expect(responses.map(\.status) == [200, 200])
            #expect(try await server.send("GET /v1/gateway").status == 200)
        }
    }

    @Test func `a shutdown doesn't wait for idle clients`() async throws {
        let idle = Mutex<(any Channel)?>(nil)
        try await OperationsHarness.run { server in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(to: server.address).get()
            idle.withLock { $0 = channel }
            // The response on another connection of the same event loop group shows that the first has been accepted.
            #expect(try await server.send("GET /livez").status == 200)
        }
        let channel = try #require(idle.withLock { $0 })
        try await channel.closeFuture.get()
    }
}
