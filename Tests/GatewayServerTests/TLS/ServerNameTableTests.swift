// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayTLS

@Suite struct ServerNameTableTests {
    typealias Kind = TLSCertificate.KeyKind

    @Test func `an exact name takes precedence over a wildcard, which matches one label`() throws {
        let table = ServerNameTable<Kind>([
            (["default.example"], .ecdsa), (["*.example.org", "example.org"], .ecdsa), (["chat.example.org"], .ecdsa),
        ])
        func certificates(_ name: String) -> [Int]? { table.group(for: name).map { table.groups[$0] } }
        #expect(certificates("chat.example.org") == [2])
        #expect(certificates("CHAT.example.ORG") == [2])
        #expect(certificates("voice.example.org") == [1])
        #expect(certificates("example.org") == [1])
        #expect(certificates("a.b.example.org") == nil)
        #expect(certificates(".example.org") == nil)
        #expect(certificates("org") == nil)
        #expect(certificates("") == nil)
        #expect(certificates("*.example.org") == [1])
        #expect(table.groups[0] == [0])
    }

    @Test func `the first RSA and the first ECDSA certificate for a name form a group`() {
        let table = ServerNameTable<Kind>([
            (["a.example"], .rsa), (["a.example"], .ecdsa), (["a.example"], .rsa), (["b.example"], .rsa),
        ])
        #expect(table.groups[0] == [0, 1])
        #expect(table.group(for: "a.example") == 0)
        #expect(table.group(for: "b.example").map { table.groups[$0] } == [3])
    }

    @Test func `a wildcard certificate supplies the kind that the exact name lacks`() {
        let table = ServerNameTable<Kind>([(["*.example"], .rsa), (["*.example"], .ecdsa), (["a.example"], .ecdsa)])
        #expect(table.group(for: "a.example").map { table.groups[$0] } == [2, 0])
        #expect(table.group(for: "b.example").map { table.groups[$0] } == [0, 1])
    }

    @Test func `without certificates there are no groups; without names there is only the default`() {
        #expect(ServerNameTable<Kind>([]).groups.isEmpty)
        let table = ServerNameTable<Kind>([([], .rsa)])
        #expect(table.groups == [[0]])
        #expect(table.group(for: "a.example") == nil)
    }
}
