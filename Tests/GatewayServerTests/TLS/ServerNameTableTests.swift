import Testing

@testable import GatewayTLS

@Suite struct ServerNameTableTests {
    typealias Kind = TLSCertificate.KeyKind

    @Test func `the very name goes before a wildcard, and a wildcard is for one label`() throws {
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

    @Test func `RSA and ECDSA for a name make one group, the first of each kind`() {
        let table = ServerNameTable<Kind>([
            (["a.example"], .rsa), (["a.example"], .ecdsa), (["a.example"], .rsa), (["b.example"], .rsa),
        ])
        #expect(table.groups[0] == [0, 1])
        #expect(table.group(for: "a.example") == 0)
        #expect(table.group(for: "b.example").map { table.groups[$0] } == [3])
    }

    @Test func `a wildcard fills in the kind that the very name lacks`() {
        let table = ServerNameTable<Kind>([(["*.example"], .rsa), (["*.example"], .ecdsa), (["a.example"], .ecdsa)])
        #expect(table.group(for: "a.example").map { table.groups[$0] } == [2, 0])
        #expect(table.group(for: "b.example").map { table.groups[$0] } == [0, 1])
    }

    @Test func `no certificates, no groups; no names, only the default`() {
        #expect(ServerNameTable<Kind>([]).groups.isEmpty)
        let table = ServerNameTable<Kind>([([], .rsa)])
        #expect(table.groups == [[0]])
        #expect(table.group(for: "a.example") == nil)
    }
}
