// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOHTTP1
import Testing

@Suite struct UpgradeRequestTests {
    /// The request headers of RFC 6455 §1.3.
    private static let sample: [(String, String)] = [
        ("Host", "server.example.com"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"),
    ]

    private func head(
        _ changes: [(String, String?)] = [], adding: [(String, String)] = [], uri: String = "/v1/ws", method: HTTPMethod = .GET,
        version: HTTPVersion = .http1_1
    ) -> HTTPRequestHead {
        var headers = HTTPHeaders(Self.sample)
        for (name, value) in changes {
            headers.remove(name: name)
            if let value { headers.add(name: name, value: value) }
        }
        for (name, value) in adding { headers.add(name: name, value: value) }
        return HTTPRequestHead(version: version, method: method, uri: uri, headers: headers)
    }

    private func failure(_ head: HTTPRequestHead) -> UpgradeFailure? {
        do throws(UpgradeFailure) {
            _ = try UpgradeRequest(head)
            return nil
        } catch {
            return error
        }
    }

    @Test func `the example of RFC 6455 is accepted with its accept key`() throws {
        let request = try UpgradeRequest(head())
        #expect(request.acceptKey == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(request.host == "server.example.com")
        #expect(request.target.path == "/v1/ws")
        #expect(request.origin == nil && request.bearer == nil && request.resume == nil)
        #expect(!request.offersSubprotocol && request.compressionOffers.isEmpty)
        let response = request.responseHeaders(compression: nil)
        #expect(
            response.map { "\($0.name): \($0.value)" } == [
                "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            ])
    }

    @Test(arguments: [
        ("Upgrade", "WebSocket"), ("Upgrade", "h2c, websocket"), ("Upgrade", " websocket ,"), ("Connection", "keep-alive, Upgrade"),
        ("Connection", "upgrade"), ("Connection", "foo,\tUPGRADE , bar"), ("Host", "localhost:8443"), ("Host", "127.0.0.1"),
        ("Host", "[::1]:8443"),
        ("Host", "a_b.example:"), ("Sec-WebSocket-Key", "//////////////////////=="), ("Sec-WebSocket-Key", " dGhlIHNhbXBsZSBub25jZQ== "),
        ("Content-Length", "0"), ("Sec-WebSocket-Version", " 13 "),
    ])
    func `header variants that the grammar allows are accepted`(name: String, value: String) {
        #expect(failure(head([(name, value)])) == nil)
    }

    @Test(
        arguments: [
            ("Upgrade", nil, .notAnUpgrade), ("Upgrade", "h2c", .notAnUpgrade), ("Upgrade", "websockets", .notAnUpgrade),
            ("Upgrade", "", .notAnUpgrade),
            ("Upgrade", "web socket", .notAnUpgrade),
            ("Connection", nil, .notAConnectionUpgrade), ("Connection", "keep-alive", .notAConnectionUpgrade),
            ("Connection", "upgraded", .notAConnectionUpgrade),
            ("Sec-WebSocket-Version", nil, .version), ("Sec-WebSocket-Version", "8", .version), ("Sec-WebSocket-Version", "013", .version),
            ("Sec-WebSocket-Version", "13, 8", .version), ("Sec-WebSocket-Version", "", .version),
            ("Sec-WebSocket-Key", nil, .key), ("Sec-WebSocket-Key", "", .key), ("Sec-WebSocket-Key", "SGVsbG8sIHdvcmxkIQ==", .key),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=", .key), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ===", .key),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQaa", .key), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j!Q==", .key),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ===", .key), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZé==", .key),
            ("Host", nil, .host), ("Host", "", .host), ("Host", "a b", .host), ("Host", "user@host", .host), ("Host", "host/path", .host),
            ("Host", ":8443", .host), ("Host", "host:x", .host), ("Host", "host:65536", .host), ("Host", "host:123456", .host),
            ("Host", "::1", .host),
            ("Host", "[::1", .host), ("Host", "[::1]x", .host), ("Host", "[]", .host), ("Host", "[zz::]", .host), ("Host", "a,b", .host),
            ("Host", String(repeating: "a", count: 300), .host), ("Host", "höst", .host),
            ("Content-Length", "5", .body), ("Content-Length", "00", .body), ("Content-Length", "-0", .body),
            ("Transfer-Encoding", "chunked", .body),
            ("Transfer-Encoding", "identity", .body),
        ] as [(String, String?, UpgradeFailure)])
    func `each invalid header is rejected with its own failure`(name: String, value: String?, expected: UpgradeFailure) {
        #expect(failure(head([(name, value)])) == expected)
    }

    @Test(
        arguments: [
            ("Host", "server.example.com", .host), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", .key),
            ("Sec-WebSocket-Version", "13", .version),
            ("Sec-WebSocket-Version", "8", .version),
        ] as [(String, String, UpgradeFailure)])
    func `a repeated header that must be unique is rejected`(name: String, value: String, expected: UpgradeFailure) {
        #expect(failure(head(adding: [(name, value)])) == expected)
    }

    @Test func `list headers may be spread over several fields`() {
        #expect(
            failure(
                head([("Connection", "keep-alive"), ("Upgrade", "h2c")], adding: [("connection", "upgrade"), ("UPGRADE", "websocket")]))
                == nil)
    }

    @Test func `only GET and HTTP/1.1 are accepted`() {
        #expect(failure(head(method: .POST)) == .methodNotAllowed)
        #expect(failure(head(method: .HEAD)) == .methodNotAllowed)
        #expect(failure(head(version: .http1_0)) == .httpVersion)
        #expect(failure(head(version: .http2)) == .httpVersion)
        #expect(failure(head(version: HTTPVersion(major: 1, minor: 2))) == nil)
    }

    @Test func `each failure has a status and an error code`() {
        #expect(UpgradeFailure.version.status == 426)
        #expect(UpgradeFailure.methodNotAllowed.status == 405)
        #expect(UpgradeFailure.methodNotAllowed.reason.code == .notFound)
        for failure in UpgradeFailure.allCases where failure != .version && failure != .methodNotAllowed {
            #expect(failure.status == 400 && failure.reason.code == .invalidUpgrade)
        }
    }

    @Test func `one Origin header is returned as sent; two are rejected`() throws {
        #expect(try UpgradeRequest(head(adding: [("Origin", "https://app.example")])).origin == "https://app.example")
        #expect(try UpgradeRequest(head(adding: [("Origin", "null")])).origin == "null")
        #expect(failure(head(adding: [("Origin", "https://a.example"), ("Origin", "https://a.example")])) == .origin)
    }

    @Test func `credentials are read from headers or subprotocols and never echoed`() throws {
        let headers = try UpgradeRequest(head(adding: [("Authorization", "bearer  abc.def-_~+/=="), ("Parley-Resume", "tok-en_1")]))
        #expect(headers.bearer == "abc.def-_~+/==" && headers.resume == "tok-en_1")
        let listed = try UpgradeRequest(
            head(adding: [("Sec-WebSocket-Protocol", "bearer.abc.def, parley.v1 ,chat"), ("sec-websocket-protocol", "resume.tok")]))
        #expect(listed.bearer == "abc.def" && listed.resume == "tok" && listed.offersSubprotocol)
        let response = listed.responseHeaders(compression: nil)
        #expect(response["Sec-WebSocket-Protocol"] == ["parley.v1"])
        let alone = try UpgradeRequest(head(adding: [("Sec-WebSocket-Protocol", "chat")]))
        #expect(alone.bearer == nil && !alone.offersSubprotocol)
        #expect(alone.responseHeaders(compression: nil)["Sec-WebSocket-Protocol"].isEmpty)
        #expect(try UpgradeRequest(head(adding: [("Authorization", "Basic dTpw")])).bearer == nil)
    }

    @Test(
        arguments: [
            ("Sec-WebSocket-Protocol", "a b", .subprotocols), ("Sec-WebSocket-Protocol", "parley.v1, chat/2", .subprotocols),
            ("Sec-WebSocket-Protocol", "pärley", .subprotocols), ("Sec-WebSocket-Protocol", "\"parley.v1\"", .subprotocols),
            ("Sec-WebSocket-Protocol", "", .subprotocols), ("Sec-WebSocket-Protocol", ", ,", .subprotocols),
            ("Sec-WebSocket-Protocol", "parley.v1, parley.v1", .subprotocols), ("Sec-WebSocket-Protocol", "bearer.", .authorization),
            ("Sec-WebSocket-Protocol", "bearer.a!b", .authorization), ("Sec-WebSocket-Protocol", "resume.", .resumeToken),
            ("Sec-WebSocket-Protocol", "bearer.a, bearer.b", .conflictingCredentials),
            ("Sec-WebSocket-Protocol", "resume.a, resume.b", .conflictingCredentials), ("Authorization", "Bearer", .authorization),
            ("Authorization", "Bearer a b", .authorization), ("Authorization", "Bearer ===", .authorization),
            ("Parley-Resume", "", .resumeToken),
            ("Parley-Resume", "a b", .resumeToken),
        ] as [(String, String, UpgradeFailure)])
    func `malformed credentials and lists are rejected`(name: String, value: String, expected: UpgradeFailure) {
        #expect(failure(head(adding: [(name, value)])) == expected)
    }

    @Test(arguments: [
        "resume.abc", "bearer.abc", "bearer.abc, resume.def", "chat, resume.abc", "resume.abc, parley.v2", "PARLEY.V1, bearer.a",
    ])
    func `credentials without the subprotocol are rejected, because a browser would fail without giving a reason`(list: String) throws {
        #expect(failure(head(adding: [("Sec-WebSocket-Protocol", list)])) == .missingSubprotocol)
        let rejection = UpgradePolicy.Rejection(UpgradeFailure.missingSubprotocol)
        #expect(
            rejection.status == .badRequest && rejection.reason == .missingSubprotocol && rejection.reason.message.contains("parley.v1"))
        #expect(try UpgradeRequest(head(adding: [("Sec-WebSocket-Protocol", list + ", parley.v1")])).offersSubprotocol)
    }

    @Test func `the same credential in two places is accepted; different ones conflict`() throws {
        let same = [("Authorization", "Bearer x"), ("Parley-Resume", "r"), ("Sec-WebSocket-Protocol", "parley.v1, bearer.x, resume.r")]
        let request = try UpgradeRequest(head(adding: same))
        #expect(request.bearer == "x" && request.resume == "r")
        #expect(
            failure(head(adding: [("Authorization", "Bearer x"), ("Sec-WebSocket-Protocol", "parley.v1, bearer.y")]))
                == .conflictingCredentials)
        #expect(
            failure(head(adding: [("Parley-Resume", "x"), ("Sec-WebSocket-Protocol", "parley.v1, resume.y")])) == .conflictingCredentials)
        #expect(failure(head(adding: [("Authorization", "Bearer x"), ("Authorization", "Bearer x")])) == .authorization)
        #expect(failure(head(adding: [("Parley-Resume", "x"), ("Parley-Resume", "x")])) == .resumeToken)
    }

    @Test func `a malformed target or extension list is rejected`() {
        #expect(failure(head(uri: "/v1/ws?last_seq=%zz")) == .target)
        #expect(failure(head(adding: [("Sec-WebSocket-Extensions", "permessage-deflate; =1")])) == .extensions)
    }

    @Test func `the first offer that the mode supports is accepted`() throws {
        let value =
            "x-unknown, permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10, permessage-deflate"
        let request = try UpgradeRequest(head(adding: [("Sec-WebSocket-Extensions", value)]))
        #expect(request.compressionOffers.count == 3)
        #expect(request.compression(.off) == nil)
        let agreement = try #require(request.compression(.shared))
        #expect(
            request.responseHeaders(compression: agreement)["Sec-WebSocket-Extensions"]
                == ["permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"])
    }
}
