// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Network addresses") struct NetworkAddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"),
        ("1::", "1::"), ("2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"), ("2001:db8::1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("::FFFF:c000:201", "192.0.2.1"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ])
    func `an address is parsed and written in its canonical form`(text: String, canonical: String) throws {
        let address = try #require(NetworkAddress(text))
        #expect("\(address)" == canonical)
        #expect(NetworkAddress(canonical) == address)
    }

    @Test(arguments: [
        "", ".", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "1.1.1.256", "01.2.3.4", "1.2.3.04", "0x1.2.3.4",
        "1.2.3.4 ", " 1.2.3.4", "+1.2.3.4", "1.2.3.4:80", ":", ":::", "1:2", ":1", "1:", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::", "12345::", "::g", "[::1]", "::1%eth0", "fe80::1%1", "1.2.3.4::", "::1.2.3.4:5", "::1.2.3", "::1.2.3.256",
        "1:2:3:4:5:6:7:1.2.3.4", "unknown", "localhost", "٣.1.1.1", "1000.1.1.1",
    ])
    func `any other text is no address`(text: String) {
        #expect(NetworkAddress(text) == nil)
    }

    @Test func `bytes in network order are an address of their family`() {
        #expect(NetworkAddress(bytes: [192, 0, 2, 1]) == NetworkAddress("192.0.2.1"))
        #expect(NetworkAddress(bytes: [0x20, 1, 0xD, 0xB8] + Array(repeating: 0, count: 11) + [1]) == NetworkAddress("2001:db8::1"))
        #expect(NetworkAddress(bytes: Array(repeating: 0, count: 10) + [255, 255, 192, 0, 2, 1]) == NetworkAddress("192.0.2.1"))
        for count in [0, 3, 5, 15, 17] { #expect(NetworkAddress(bytes: Array(repeating: UInt8(1), count: count)) == nil) }
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("10.255.255.255", true), ("172.15.255.255", false), ("172.16.0.0", true), ("172.31.255.255", true),
        ("172.32.0.0", false), ("192.168.1.1", true), ("100.63.255.255", false), ("100.64.0.0", true), ("100.127.255.255", true),
        ("169.254.1.1", true), ("8.8.8.8", false), ("0.0.0.0", false), ("::", false), ("::1", true), ("fd00::1", true), ("fc00::", true),
        ("fe80::1", true), ("fec0::1", false), ("2001:db8::1", false), ("::ffff:10.0.0.1", true),
    ])
    func `an address that the Internet can't reach is private`(text: String, isPrivate: Bool) throws {
        #expect(try #require(NetworkAddress(text)).isPrivate == isPrivate)
    }
}

@Suite("Networks") struct AddressNetworkTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0", "10.255.255.255", ["9.255.255.255", "11.0.0.0"]),
        ("192.0.2.128/25", "192.0.2.128", "192.0.2.255", ["192.0.2.127", "192.0.3.0"]),
        ("192.0.2.1/32", "192.0.2.1", "::ffff:192.0.2.1", ["192.0.2.0", "192.0.2.2"]),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255", ["::", "2001:db8::1"]),
        ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["10.0.0.1", "0.0.0.0"]),
        ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ["2001:db7:ffff::", "2001:db9::"]),
        ("2001:db8:0:1::/64", "2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff", ["2001:db8::ffff:0:0:0", "2001:db8:0:2::"]),
        ("2001:db8::8/125", "2001:db8::8", "2001:db8::f", ["2001:db8::7", "2001:db8::10"]),
        ("::1", "::1", "::1", ["::2", "::", "0.0.0.1"]),
    ])
    func `a network contains exactly the addresses with its prefix`(text: String, first: String, last: String, outside: [String]) throws {
        let network = try #require(AddressNetwork(text))
        for inside in [first, last] { #expect(network.contains(try #require(NetworkAddress(inside))), "\(inside)") }
        for other in outside { #expect(!network.contains(try #require(NetworkAddress(other))), "\(other)") }
    }

    @Test(arguments: [
        "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/ 8", "10.0.0.0/255.0.0.0", "::/129",
        "::1/", "10/8", "*", "10.0.0.0/1000",
        // A bit after the prefix is set.
        "10.0.0.1/8", "192.0.2.1/31", "2001:db8::1/64", "128.0.0.0/0", "::1/127",
    ])
    func `any other text is no network`(text: String) {
        #expect(AddressNetwork(text) == nil)
    }

    @Test(arguments: [("10.0.0.0/8", "10.0.0.0/8"), ("::1/128", "::1"), ("192.0.2.1/32", "192.0.2.1"), ("2001:DB8::/32", "2001:db8::/32")])
    func `a network is written as in the configuration, a single address without its length`(text: String, written: String) throws {
        #expect("\(try #require(AddressNetwork(text)))" == written)
    }

    @Test func `a proxy is trusted if one of the networks contains it; a peer without an address isn't`() {
        let trusted = TrustedProxies(["10.0.0.0/8", "::1"].compactMap { AddressNetwork($0) })
        #expect(trusted.contains(NetworkAddress("10.1.2.3")))
        #expect(trusted.contains(NetworkAddress("::1")))
        #expect(!trusted.contains(NetworkAddress("192.0.2.1")))
        #expect(!trusted.contains(nil))
        #expect(!TrustedProxies().contains(NetworkAddress("10.1.2.3")))
    }
}
