// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("PROXY headers") struct ProxyHeaderTests {
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    private static let client = ProxyHeader.Source.client(NetworkAddress(ipv4: 0xC000_0201), port: 4711)
    private static let ipv4: [UInt8] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xBB]

    /// Returns a version 2 header; `length` is that of the content unless given.
    private static func binary(_ command: UInt8 = 0x21, _ family: UInt8 = 0x11, _ content: [UInt8] = ipv4, length: Int? = nil) -> [UInt8] {
        signature + [command, family] + sixteen(length ?? content.count) + content
    }

    private static func sixteen(_ number: Int) -> [UInt8] { [UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)] }
    private static func tlv(_ type: UInt8, _ value: [UInt8]) -> [UInt8] { [type] + sixteen(value.count) + value }

    /// Parses bytes at once and one by one, expects the same result, and returns it with the number of bytes consumed.
    private func parse(_ bytes: [UInt8]) -> (verdict: ProxyHeaderParser.Verdict, consumed: Int) {
        var whole = ProxyHeaderParser()
        let count = bytes.withUnsafeBytes { whole.consume(RawSpan(_unsafeBytes: $0)) }
        var split = ProxyHeaderParser()
        var total = 0
        for byte in bytes { total += [byte].withUnsafeBytes { split.consume(RawSpan(_unsafeBytes: $0)) } }
        #expect(split.verdict == whole.verdict)
        #expect(total == count)
        #expect(split.prefix == whole.prefix)
        return (whole.verdict, count)
    }

    private func verdict(_ bytes: [UInt8]) -> ProxyHeaderParser.Verdict { parse(bytes).verdict }
    private func verdict(line: String) -> ProxyHeaderParser.Verdict { verdict(Array(line.utf8)) }

    // MARK: Version 1

    @Test func `a line of version 1 announces an address and a port`() {
        #expect(verdict(line: "PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n") == .complete(ProxyHeader(Self.client)))
        #expect(verdict(line: "PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 443\r\n") == .complete(ProxyHeader(Self.client)))
        let six = NetworkAddress(high: 0x2001_0DB8_0000_0000, low: 1)
        #expect(verdict(line: "PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n") == .complete(ProxyHeader(.client(six, port: 0))))
    }

    @Test func `UNKNOWN announces no client, whatever follows on the line`() {
        for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN 192.0.2.1 10.0.0.1 1 2\r\n", "PROXY UNKNOWN \u{1}x\r\n"] {
            #expect(verdict(line: line) == .complete(ProxyHeader(.unknown)), "\(line)")
        }
    }

    @Test func `the bytes after the line belong to the client`() {
        let line = Array("PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n".utf8)
        #expect(parse(line + [0x16, 3, 1]).consumed == line.count)
    }

    @Test func `a line of 107 bytes is parsed, and one of 108 is malformed`() {
        let full = "PROXY UNKNOWN " + String(repeating: "x", count: 91) + "\r\n"
        #expect(full.utf8.count == 107)
        #expect(verdict(line: full) == .complete(ProxyHeader(.unknown)))
        #expect(verdict(line: full.replacing("\r\n", with: "x\r\n")) == .malformed(.lineTooLong))
        // Without its end within 107 bytes, the line is malformed at once.
        let bytes = Array(full.utf8)
        let unended = Array(bytes.dropLast())
        #expect(verdict(unended) == .incomplete)
        var endless = bytes
        endless[105] = UInt8(ascii: "x")
        #expect(verdict(endless) == .malformed(.lineSyntax), "LF without CR")
        endless[106] = UInt8(ascii: "\r")
        #expect(verdict(endless) == .malformed(.lineTooLong))
        let longest = String(repeating: "ffff:", count: 7) + "ffff"
        #expect(verdict(line: "PROXY TCP6 \(longest) \(longest) 65535 65535\r\n") != .malformed(.lineTooLong))
    }

    @Test(arguments: [
        ("PROXY \r\n", ProxyHeaderFault.lineSyntax), ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", .lineSyntax),
        ("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", .lineSyntax),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", .lineSyntax), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", .lineSyntax),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", .lineSyntax),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", .lineSyntax), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", .lineSyntax),
        ("PROXY TCP4 1.2.3.4\r1.2.3.4 1 2\r\n", .lineSyntax),
        ("PROXY UNKNOWNX\r\n", .lineSyntax), ("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", .address), ("PROXY TCP4 1.2.3.4 x 1 2\r\n", .address),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", .address), ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", .address),
        ("PROXY TCP6 ::1 1.2.3.4 1 2\r\n", .address),
        ("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", .address), ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", .port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", .port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", .port), ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", .port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", .port),
    ])
    func `any other line is malformed`(line: String, fault: ProxyHeaderFault) {
        #expect(verdict(line: line) == .malformed(fault))
    }

    // MARK: Version 2

    @Test func `a header of version 2 announces an address and a port`() {
        #expect(verdict(Self.binary()) == .complete(ProxyHeader(Self.client)))
        let six: [UInt8] =
            [0x20, 1, 0xD, 0xB8] + Array(repeating: 0, count: 11) + [1] + Array(repeating: 9, count: 16) + [0xFF, 0xFF, 1, 2]
        let expected = ProxyHeader.Source.client(NetworkAddress(high: 0x2001_0DB8_0000_0000, low: 1), port: 65535)
        #expect(verdict(Self.binary(0x21, 0x21, six)) == .complete(ProxyHeader(expected)))
        let mapped: [UInt8] =
            Array(repeating: 0, count: 10) + [255, 255, 192, 0, 2, 1] + Array(repeating: 9, count: 16) + [0x12, 0x67, 1, 2]
        #expect(verdict(Self.binary(0x21, 0x21, mapped)) == .complete(ProxyHeader(Self.client)))
    }

    @Test func `LOCAL stands for the proxy, and its content is skipped`() {
        for (family, content) in [
            (UInt8(0), []), (0x11, Self.ipv4), (0x11, [1, 2]), (0xFF, [1]), (0, Array(repeating: UInt8(7), count: 65535)),
        ] {
            let bytes = Self.binary(0x20, family, content)
            let (verdict, consumed) = parse(bytes + [0x16])
            #expect(verdict == .complete(ProxyHeader(.proxy)))
            #expect(consumed == bytes.count)
        }
    }

    @Test func `AF_UNSPEC and AF_UNIX announce no client`() {
        for (family, content) in [(UInt8(0), []), (0, [1, 2, 3]), (1, []), (0x31, Array(repeating: UInt8(0x2F), count: 216))] {
            #expect(verdict(Self.binary(0x21, family, content)) == .complete(ProxyHeader(.unknown)), "\(family)")
        }
    }

    @Test func `each prefix of a header is incomplete, and no byte after it is consumed`() {
        let header = Self.binary(0x21, 0x11, Self.ipv4 + Self.tlv(0x04, [1, 2, 3]))
        for count in 0..<header.count { #expect(verdict(Array(header.prefix(count))) == .incomplete, "\(count)") }
        #expect(parse(header + header).consumed == header.count)
    }

    @Test(arguments: [
        (UInt8(0x11), UInt8(0x11), ProxyHeaderFault.version), (0x31, 0x11, .version), (0x01, 0x11, .version), (0x22, 0x11, .command),
        (0x2F, 0x11, .command),
        (0x21, 0x10, .family), (0x21, 0x12, .family), (0x21, 0x13, .family), (0x21, 0x22, .family), (0x21, 0x32, .family),
        (0x21, 0x41, .family),
        (0x21, 0x03, .family), (0x21, 0xFF, .family),
    ])
    func `another version, command, family or protocol is malformed`(command: UInt8, family: UInt8, fault: ProxyHeaderFault) {
        #expect(verdict(Self.binary(command, family, Array(repeating: 1, count: 216))) == .malformed(fault))
    }

    @Test(arguments: [(UInt8(0x11), 12), (0x21, 36), (0x31, 216)])
    func `a length shorter than the addresses is malformed`(family: UInt8, least: Int) {
        for length in [0, 1, least - 1] {
            #expect(verdict(Self.binary(0x21, family, Array(repeating: 1, count: 300), length: length)) == .malformed(.length), "\(length)")
        }
        guard case .complete = verdict(Self.binary(0x21, family, Array(repeating: 1, count: least))) else {
            Issue.record("\(least) bytes suffice")
            return
        }
    }

    // MARK: Extensions

    @Test func `extensions of any type are skipped, up to the protocol's maximum length`() {
        let content = (UInt8.min...UInt8.max).filter { $0 != 0x20 }.flatMap { Self.tlv($0, [1, 2, 3]) } + Self.tlv(0xEE, [])
        #expect(content.count < 65535 - 12)
        guard case .complete(let header) = verdict(Self.binary(0x21, 0x11, Self.ipv4 + content)) else {
            Issue.record("not complete")
            return
        }
        #expect(header.source == Self.client)
        let largest = Self.binary(0x21, 0x11, Self.ipv4 + Self.tlv(0x05, Array(repeating: 9, count: 65535 - 15)))
        #expect(largest.count == 65551)
        #expect(parse(largest + [1]) == (.complete(ProxyHeader(Self.client)), 65551))
    }

    @Test(arguments: [
        [UInt8(5)], [5, 0], [5, 0, 1], [5, 0, 2, 1], [5, 0xFF, 0xFF, 1], [5, 0, 1, 1, 5], [5, 0, 0, 5, 0], [0x20, 0, 4, 1, 2, 3, 4],
        [0x20, 0, 6, 1, 0, 0, 0, 0, 0x22], [0x20, 0, 8, 1, 0, 0, 0, 0, 0x22, 0, 1], [0x20, 0, 9, 1, 0, 0, 0, 0, 0x22, 0, 2, 65],
        [0x20, 0, 9, 1, 0, 0, 0, 0, 0x22, 0, 2, 65, 66],
    ])
    func `an extension that doesn't fit is malformed`(content: [UInt8]) {
        #expect(verdict(Self.binary(0x21, 0x11, Self.ipv4 + content)) == .malformed(.extensionLength))
    }

    @Test func `the requested server name and the certificate's name are read`() {
        let ssl = Self.tlv(0x20, [7, 0, 0, 0, 0] + Self.tlv(0x21, Array("TLSv1.3".utf8)) + Self.tlv(0x22, Array("Zoë".utf8)))
        let content = Self.tlv(0x01, Array("h2".utf8)) + Self.tlv(0x02, Array("parley.example".utf8)) + ssl + Self.tlv(0x04, [])
        let expected = ProxyHeader(Self.client, authority: "parley.example", certificateName: "Zoë")
        #expect(verdict(Self.binary(0x21, 0x11, Self.ipv4 + content)) == .complete(expected))
        // A common name outside of PP2_TYPE_SSL, or nested twice, isn't one.
        let outside = Self.tlv(0x22, [65]) + Self.tlv(0x20, [0, 0, 0, 0, 0] + Self.tlv(0x20, [0, 0, 0, 0, 0]))
        #expect(verdict(Self.binary(0x21, 0x11, Self.ipv4 + outside)) == .complete(ProxyHeader(Self.client)))
    }

    @Test func `names lose control characters and invalid UTF-8, and end after 255 bytes`() {
        func authority(_ bytes: [UInt8]) -> String? {
            guard case .complete(let header) = verdict(Self.binary(0x21, 0x11, Self.ipv4 + Self.tlv(0x02, bytes))) else { return "none" }
            return header.authority
        }
        #expect(authority(Array("a\u{0}\u{1B}[31m\r\n\u{7F}\u{85}b".utf8)) == "a[31mb")
        #expect(authority([0x61, 0xFF]) == "a\u{FFFD}")
        #expect(authority([]) == nil)
        #expect(authority([0x0A]) == nil)
        #expect(authority(Array(repeating: 0x61, count: 255))?.count == 255)
        #expect(authority(Array(repeating: 0x61, count: 256))?.count == 255)
    }

    // MARK: No header

    @Test func `a connection that begins with other bytes has no header, and its bytes are returned`() {
        let hello: [UInt8] = [0x16, 3, 1, 2, 0]
        for bytes in [
            hello, Array("GET / HTTP/1.1\r\n".utf8), Array("PROXX".utf8), Array("PROPFIND /".utf8), Array(Self.signature.prefix(11)) + [0],
            [0],
        ] {
            var parser = ProxyHeaderParser()
            let count = bytes.withUnsafeBytes { parser.consume(RawSpan(_unsafeBytes: $0)) }
            #expect(parser.verdict == .absent)
            #expect(parser.prefix == Array(bytes.prefix(count)))
            #expect(verdict(bytes) == .absent)
        }
    }
}
