// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import ParleyClient
import Testing

@Suite struct HostResolutionTests {
    @Test(
        arguments: [
            ("example.com:443:127.0.0.1", "wss://example.com/", ["127.0.0.1"]), ("EXAMPLE.com:443:::1", "wss://example.COM", ["::1"]),
            ("example.com:8443:[::1],10.0.0.1", "wss://example.com:8443", ["::1", "10.0.0.1"]),
            ("*:80:10.0.0.1", "ws://any.host", ["10.0.0.1"]),
            ("+example.com:443:10.0.0.1", "wss://example.com", ["10.0.0.1"]), ("[::1]:443:10.0.0.1", "wss://[::1]", ["10.0.0.1"]),
        ])
    func `addresses replace the resolution of a host and port`(text: String, url: String, addresses: [String]) throws {
        let resolution = try HostResolution(text)
        #expect(resolution.addresses == addresses)
        #expect(try resolution.matches(WebSocketURL(url)))
    }

    @Test(arguments: ["wss://example.com:444", "wss://www.example.com", "ws://example.com"])
    func `a URL with another host or port doesn't match`(url: String) throws {
        #expect(try !HostResolution("example.com:443:10.0.0.1").matches(WebSocketURL(url)))
    }

    @Test(
        arguments: [
            ("", .form), ("example.com", .form), ("example.com:443", .form), (":443:10.0.0.1", .host), ("[x]:443:10.0.0.1", .host),
            ("[10.0.0.1]:443:10.0.0.1", .host), ("exa mple:443:10.0.0.1", .host), ("example.com:0:10.0.0.1", .port),
            ("example.com:65536:10.0.0.1", .port), ("example.com:x:10.0.0.1", .port), ("example.com:443:", .address),
            ("example.com:443:localhost", .address), ("example.com:443:10.0.0.1,", .address), ("example.com:443:[10.0.0.1]", .address),
            ("example.com:443:10.0.0.256", .address),
        ] as [(String, HostResolution.Fault)])
    func `a malformed text is rejected`(text: String, fault: HostResolution.Fault) {
        #expect(throws: fault) { _ = try HostResolution(text) }
    }
}
