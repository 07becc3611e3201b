// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import NIOCore
import Testing

@Suite struct ClientAddressTests {
    private func client(_ text: String) throws -> ClientAddress { ClientAddress(try SocketAddress(ipAddress: text, port: 443)) }

    @Test func `an IPv4 address is one client, regardless of the port`() throws {
        #expect(try client("192.0.2.1") == client("192.0.2.1"))
        #expect(ClientAddress(try SocketAddress(ipAddress: "192.0.2.1", port: 1)) == (try client("192.0.2.1")))
        #expect(try client("192.0.2.1") != client("192.0.2.2"))
        #expect(try client("192.0.2.1") != client("1.2.0.192"))
    }

    @Test func `an IPv6 address is identified by its first 64 bits`() throws {
        #expect(try client("2001:db8:1:2::1") == client("2001:db8:1:2:ffff:ffff:ffff:ffff"))
        #expect(try client("2001:db8:1:2::1") != client("2001:db8:1:3::1"))
        #expect(try client("2001:db8:1:2::1") != client("2001:db9:1:2::1"))
    }

    @Test func `a mapped IPv4 address equals the IPv4 address`() throws {
        #expect(try client("::ffff:192.0.2.1") == client("192.0.2.1"))
        #expect(try client("::ffff:192.0.2.1") != client("::ffff:192.0.2.2"))
        #expect(try client("::1") != client("0.0.0.1"))
    }

    @Test func `connections without an address count as one client`() throws {
        #expect(ClientAddress(nil) == ClientAddress(try SocketAddress(unixDomainSocketPath: "socket")))
    }
}
