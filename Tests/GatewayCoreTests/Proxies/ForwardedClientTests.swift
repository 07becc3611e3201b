// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Forwarded clients") struct ForwardedClientTests {
    private static let trusted = TrustedProxies(["10.0.0.0/8", "2001:db8:ffff::/48"].compactMap { AddressNetwork($0) })

    private func client(forwarded: [String] = [], for chain: [String] = [], proto: [String] = []) -> ForwardedClient {
        ForwardedClient(forwarded: forwarded, forwardedFor: chain, forwardedProto: proto, trusted: Self.trusted)
    }

    private func address(for chain: String...) -> String? { client(for: chain).address.map { "\($0)" } }
    private func address(forwarded: String...) -> String? { client(forwarded: forwarded).address.map { "\($0)" } }

    // MARK: X-Forwarded-For

    @Test(arguments: [
        (["192.0.2.1"], "192.0.2.1"), (["198.51.100.7, 192.0.2.1"], "192.0.2.1"), (["198.51.100.7, 192.0.2.1, 10.0.0.1"], "192.0.2.1"),
        (["198.51.100.7", "192.0.2.1", "10.0.0.1,10.0.0.2"], "192.0.2.1"), (["2001:db8::1, 2001:db8:ffff::1"], "2001:db8::1"),
        ([" 192.0.2.1 ,\t10.0.0.1 , ,"], "192.0.2.1"), (["::ffff:192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1"),
        // All hops are trusted: the first one.
        (["10.0.0.3, 10.0.0.2, 10.0.0.1"], "10.0.0.3"),
    ])
    func `the client is the rightmost hop that isn't a trusted proxy`(chain: [String], expected: String) {
        #expect(client(for: chain).address.map { "\($0)" } == expected)
    }

    @Test(arguments: [
        ("192.0.2.1:4711", "192.0.2.1", UInt16(4711)), ("[2001:db8::1]:4711", "2001:db8::1", 4711), ("[2001:db8::1]", "2001:db8::1", nil),
        ("192.0.2.1:0", "192.0.2.1", 0), ("192.0.2.1:65535", "192.0.2.1", 65535),
    ])
    func `a hop may have a port`(text: String, address: String, port: UInt16?) {
        #expect(client(for: [text]).address == NetworkAddress(address))
        #expect(client(for: [text]).port == port)
    }

    @Test(arguments: [
        "unknown", "_hidden", "192.0.2.256", "192.0.2.1:65536", "192.0.2.1:", "192.0.2.1:x", "[192.0.2.1]", "[2001:db8::1",
        "[2001:db8::1]4711", "\"192.0.2.1\"",
        "client.example", "192.0.2.1 192.0.2.2", "2001:db8::1%eth0", "for=192.0.2.1",
    ])
    func `a hop without a usable address ends the search at the last hop that a proxy vouches for`(text: String) {
        #expect(address(for: text) == nil)
        #expect(address(for: "192.0.2.1, \(text)") == nil)
        #expect(address(for: "192.0.2.1, \(text), 10.0.0.1") == "10.0.0.1")
        #expect(address(for: "\(text), 192.0.2.1, 10.0.0.1") == "192.0.2.1")
    }

    @Test func `without fields, no address is announced`() {
        #expect(client() == client(forwarded: ["", " , "], for: ["", ","], proto: [""]))
        #expect(client().address == nil)
        #expect(client().isEncrypted == nil)
    }

    // MARK: Forwarded

    @Test(arguments: [
        ("for=192.0.2.1", "192.0.2.1", UInt16?.none), ("For=\"192.0.2.1:4711\"", "192.0.2.1", 4711),
        ("FOR=192.0.2.1:4711", "192.0.2.1", 4711),
        ("for=\"[2001:db8::1]\"", "2001:db8::1", nil), ("for=\"[2001:db8::1]:4711\"", "2001:db8::1", 4711),
        ("for=[2001:db8::1]", "2001:db8::1", nil),
        ("for=\"192.0.2.1:_port\"", "192.0.2.1", nil), ("proto=http;by=10.0.0.1;for=192.0.2.1;host=\"a,b;c\"", "192.0.2.1", nil),
        ("by=\"_x\" ; for=\"192.0.2.\\1\"", "192.0.2.1", nil), ("for=198.51.100.7, for=192.0.2.1, for=10.0.0.1", "192.0.2.1", nil),
        ("secret=\"\\\"\\\\\";for=192.0.2.1", "192.0.2.1", nil),
    ])
    func `an element of Forwarded announces an address and a port`(text: String, address: String, port: UInt16?) {
        #expect(client(forwarded: [text]).address == NetworkAddress(address))
        #expect(client(forwarded: [text]).port == port)
    }

    @Test(arguments: [
        "for=unknown", "for=_hidden", "for=\"_SEVKISEK\"", "by=10.0.0.1", "for", "for=", "=192.0.2.1", "for=\"192.0.2.1", "for=192.0.2.1\"",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;", "for=192.0.2.1 proto=http", "for=2001:db8::1", "for=\"2001:db8::1\"", "for=\"[192.0.2.1]\"",
        "for=\"192.0.2.1:99999\"", "192.0.2.1", "f(r=192.0.2.1",
        "for=\"192.0.2.1\\", "for=\"192.0.2.1\"x",
    ])
    func `an element without a usable address ends the search`(text: String) {
        #expect(address(forwarded: text) == nil)
        #expect(address(forwarded: "for=192.0.2.1", text) == nil)
        #expect(address(forwarded: "\(text)", "for=192.0.2.1, for=10.0.0.1") == "192.0.2.1")
    }

    @Test(arguments: ["\"", "for=\"", "for=\"\\", "x=\"a\\\"", "\\\"", "for=\"1\", \"", ",\",\"", "for=\"a;b"])
    func `text of a client before a proxy's element doesn't change that element`(text: String) {
        #expect(address(forwarded: "\(text), for=192.0.2.1") == "192.0.2.1")
        #expect(address(forwarded: "\(text), for=\"[2001:db8::1]:80\";proto=https, for=10.0.0.1") == "2001:db8::1")
    }

    @Test func `Forwarded has precedence, unless it announces no address`() {
        #expect(client(forwarded: ["for=192.0.2.1"], for: ["192.0.2.2"]).address == NetworkAddress("192.0.2.1"))
        for forwarded in ["for=unknown", "proto=https", "\"", "for=192.0.2.9, for=_x"] {
            #expect(client(forwarded: [forwarded], for: ["192.0.2.2"]).address == NetworkAddress("192.0.2.2"), "\(forwarded)")
        }
    }

    // MARK: Scheme

    @Test(
        arguments: [
            (["https"], true), (["wss"], true), (["HTTPS"], true), (["http"], false), (["ws"], false), (["https, http"], false),
            (["https", "https"], true),
            (["http,https"], false), (["gopher"], false), (["https,"], true),
        ] as [([String], Bool)])
    func `X-Forwarded-Proto tells whether the client's connection is encrypted; each scheme must be`(proto: [String], isEncrypted: Bool) {
        #expect(client(for: ["192.0.2.1"], proto: proto).isEncrypted == isEncrypted)
        #expect(client(proto: proto).isEncrypted == isEncrypted)
    }

    @Test func `proto of the client's element of Forwarded has precedence`() {
        #expect(client(forwarded: ["for=192.0.2.1;proto=http"], proto: ["https"]).isEncrypted == false)
        #expect(client(forwarded: ["for=192.0.2.1;proto=https, for=10.0.0.1;proto=http"], proto: ["http"]).isEncrypted == true)
        #expect(client(forwarded: ["for=192.0.2.1"], proto: ["https"]).isEncrypted == true)
        #expect(client(forwarded: ["proto=http"]).isEncrypted == false)
        #expect(client(forwarded: ["for=192.0.2.1"]).isEncrypted == nil)
    }
}
