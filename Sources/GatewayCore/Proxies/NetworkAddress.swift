// SPDX-License-Identifier: Apache-2.0

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) equals the IPv4 address.
package struct NetworkAddress: Hashable, Sendable {
    /// The first 64 bits; 0 for IPv4.
    package let high: UInt64
    /// The last 64 bits; for IPv4 the address after 16 set bits, as in the mapped form.
    package let low: UInt64

    private static let mappedPrefix: UInt64 = 0xFFFF_0000_0000
    /// The longest notation, `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`, in bytes.
    private static let maximumTextBytes = 45

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address, its first octet in the most significant byte.
    package init(ipv4: UInt32) { self.init(high: 0, low: Self.mappedPrefix | UInt64(ipv4)) }

    /// An IPv4 address of 4 bytes, or an IPv6 address of 16 bytes, in network byte order; nil for any other number of bytes.
    package init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self.init(ipv4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            self.init(
                high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }

    /// Parses `192.0.2.1` (four decimal octets without leading zeros) or `2001:db8::1` (RFC 4291 §2.2). Zone identifiers, ports and brackets
    /// aren't part of an address.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= Self.maximumTextBytes else { return nil }
        let bytes = Array(text.utf8)
        if !bytes.contains(0x3A) {
            guard let address = Self.parseIPv4(bytes[...]) else { return nil }
            self.init(ipv4: address)
        } else {
            guard let groups = Self.parseIPv6(bytes[...]), groups.count == 8 else { return nil }
            self.init(
                high: groups.prefix(4).reduce(0) { $0 << 16 | UInt64($1) }, low: groups.dropFirst(4).reduce(0) { $0 << 16 | UInt64($1) })
        }
    }

    package var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    private static func parseIPv4(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        let octets = bytes.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard octets.count == 4 else { return nil }
        var address: UInt32 = 0
        for octet in octets {
            guard (1...3).contains(octet.count), octet.count == 1 || octet.first != 0x30 else { return nil }
            var value: UInt32 = 0
            for byte in octet {
                guard 0x30...0x39 ~= byte else { return nil }
                value = value * 10 + UInt32(byte - 0x30)
            }
            guard value <= 255 else { return nil }
            address = address << 8 | value
        }
        return address
    }

    /// Returns the eight groups of an IPv6 address; another number of groups if the text isn't one.
    private static func parseIPv6(_ bytes: ArraySlice<UInt8>) -> [UInt16]? {
        guard let gap = zip(bytes, bytes.dropFirst()).enumerated().first(where: { $0.element == (0x3A, 0x3A) })?.offset else {
            return parseGroups(bytes)
        }
        guard let left = parseGroups(bytes.prefix(gap), mayEndWithIPv4: false), let right = parseGroups(bytes.dropFirst(gap + 2)),
            left.count + right.count <= 7
        else { return nil }
        return left + Array(repeating: 0, count: 8 - left.count - right.count) + right
    }

    private static func parseGroups(_ bytes: ArraySlice<UInt8>, mayEndWithIPv4: Bool = true) -> [UInt16]? {
        guard !bytes.isEmpty else { return [] }
        var groups: [UInt16] = []
        for (text, isLast) in markingLast(bytes.split(separator: 0x3A, omittingEmptySubsequences: false)) {
            if text.contains(0x2E) {
                guard isLast, mayEndWithIPv4, let address = parseIPv4(text) else { return nil }
                groups.append(UInt16(truncatingIfNeeded: address >> 16))
                groups.append(UInt16(truncatingIfNeeded: address))
            } else {
                guard (1...4).contains(text.count) else { return nil }
                var value: UInt16 = 0
                for byte in text {
                    guard let digit = hexadecimal(byte) else { return nil }
                    value = value << 4 | digit
                }
                groups.append(value)
            }
        }
        return groups
    }

    private static func markingLast(_ parts: [ArraySlice<UInt8>]) -> [(text: ArraySlice<UInt8>, isLast: Bool)] {
        parts.enumerated().map { ($0.element, $0.offset == parts.count - 1) }
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt16? {
        switch byte {
        case 0x30...0x39: UInt16(byte - 0x30)
        case 0x41...0x46: UInt16(byte - 0x41 + 10)
        case 0x61...0x66: UInt16(byte - 0x61 + 10)
        default: nil
        }
    }
}

extension NetworkAddress: CustomStringConvertible {
    /// The canonical notation of RFC 5952; dotted for IPv4.
    package var description: String {
        if isIPv4 { return (0..<4).map { String(low >> (24 - 8 * $0) & 0xFF) }.joined(separator: ".") }
        let groups = [high, low].flatMap { word in (0..<4).map { UInt16(truncatingIfNeeded: word >> (48 - 16 * $0)) } }
        let gap = Self.longestZeros(in: groups)
        func text(_ part: some Sequence<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        guard gap.count >= 2 else { return text(groups) }
        return text(groups.prefix(gap.lowerBound)) + "::" + text(groups.dropFirst(gap.upperBound))
    }

    /// Returns the longest run of zero groups, the first of several.
    private static func longestZeros(in groups: [UInt16]) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for (index, group) in groups.enumerated() {
            if group != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<index + 1
            }
        }
        return longest
    }
}
