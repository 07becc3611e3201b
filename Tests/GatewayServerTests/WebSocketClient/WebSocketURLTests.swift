// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import ParleyClient
import Testing

@Suite struct WebSocketURLTests {
    @Test(arguments: [
        ("wss://localhost:8443/v1/ws", true, "localhost", 8443, "/v1/ws", "localhost:8443"),
        ("wss://localhost", true, "localhost", 443, "/d", "localhost"),
        ("ws://localhost/", false, "localhost", 80, "/d", "localhost"),
        ("WSS://Example.org:443/a?b=c", true, "Example.org", 443, "/a?b=c", "Example.org"),
        ("ws://127.0.0.1:443/ws", false, "127.0.0.1", 443, "/ws", "127.0.0.1:443"),
        ("wss://[::1]:8443/ws", true, "::1", 8443, "/ws", "[::1]:8443"),
        ("wss://[2001:db8::7]", true, "2001:db8::7", 443, "/d", "[2001:db8::7]"),
        ("wss://host?last_seq=7", true, "host", 443, "/d?last_seq=7", "host"),
        ("wss://host/?a=b", true, "host", 443, "/d?a=b", "host"),
        ("wss://host:/x", true, "host", 443, "/x", "host"),
        ("wss://host:1/x//y", true, "host", 1, "/x//y", "host:1"),
        ("wss://host:65535/x?u=ws://y@z", true, "host", 65535, "/x?u=ws://y@z", "host:65535"),
    ])
    func `a URL is parsed`(text: String, isSecure: Bool, host: String, port: Int, target: String, authority: String) throws {
        let url = try WebSocketURL(text, defaultPath: "/d")
        #expect(url.isSecure == isSecure)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.target == target)
        #expect(url.authority == authority)
        #expect(try WebSocketURL("\(url)") == url)
    }

    @Test(
        arguments: [
            ("", .scheme), ("localhost:8443", .scheme), ("https://localhost", .scheme), ("wss:/localhost", .scheme), ("xwss://a", .scheme),
            ("wss://", .host), ("wss:///ws", .host), ("wss://:8443/", .host), ("wss://a b/", .characters), ("wss://h\u{E9}/", .characters),
            ("wss://host/a\r\nX: y", .characters), ("wss://host/#x", .fragment), ("wss://host#x", .fragment),
            ("wss://user:secret@host/", .userInformation), ("wss://host:0/", .port), ("wss://host:65536/", .host),
            ("wss://host:8x/", .host),
            ("wss://[::1/", .host), ("wss://::1/", .host), ("wss://[nonsense]/", .host), ("wss://ho,st/", .host),
        ] as [(String, WebSocketURL.Fault)])
    func `an invalid URL is rejected with the reason`(text: String, fault: WebSocketURL.Fault) {
        #expect(throws: fault) { _ = try WebSocketURL(text) }
        #expect(!"\(fault)".isEmpty)
    }
}
