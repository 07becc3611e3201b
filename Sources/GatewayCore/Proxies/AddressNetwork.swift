// SPDX-License-Identifier: Apache-2.0

/// A network in CIDR notation (RFC 4632): the addresses that share a prefix. A single address is a network of its own.
package struct AddressNetwork: Hashable, Sendable {
    package let address: NetworkAddress
    /// The number of significant bits: 0 to 32 for IPv4, 0 to 128 for IPv6.
    package let prefixLength: Int

    /// Parses `10.0.0.0/8`, `2001:db8::/32`, or an address alone.
    ///
    /// - Returns: nil for an invalid address or prefix length, and if a bit after the prefix is set: `10.0.0.1/8` is more likely a mistake
    ///   than the whole network 10.0.0.0/8.
    package init?(_ text: some StringProtocol) {
        let slash = text.utf8.firstIndex(of: 0x2F)
        guard let address = NetworkAddress(text[..<(slash ?? text.endIndex)]) else { return nil }
        let width = address.isIPv4 ? 32 : 128
        var length = width
        if let slash {
            let digits = text.utf8[text.utf8.index(after: slash)...]
            guard (1...3).contains(digits.count), digits.allSatisfy({ 0x30...0x39 ~= $0 }), digits.count == 1 || digits.first != 0x30
            else { return nil }
            length = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        }
        guard length <= width, Self.masked(address, to: length) == address else { return nil }
        self.address = address
        self.prefixLength = length
    }

    /// Returns whether the address is in the network. An IPv6 network contains no IPv4 address.
    package func contains(_ other: NetworkAddress) -> Bool {
        other.isIPv4 == address.isIPv4 && Self.masked(other, to: prefixLength) == address
    }

    /// Clears the bits after the first `length` bits of an address of its family.
    private static func masked(_ address: NetworkAddress, to length: Int) -> NetworkAddress {
        let bits = address.isIPv4 ? 96 + length : length
        // Shifting all 64 bits out yields 0.
        let (high, low) = (UInt64.max << max(0, 64 - bits), UInt64.max << max(0, min(64, 128 - bits)))
        return NetworkAddress(high: address.high & high, low: address.low & low)
    }
}

extension AddressNetwork: CustomStringConvertible {
    /// The notation of the configuration: without the prefix length for a single address.
    package var description: String {
        prefixLength == (address.isIPv4 ? 32 : 128) ? "\(address)" : "\(address)/\(prefixLength)"
    }
}

/// The proxies that may announce the addresses of their clients (`connections.trusted_proxies`).
package struct TrustedProxies: Sendable, Equatable {
    package var networks: [AddressNetwork]

    package init(_ networks: [AddressNetwork] = []) { self.networks = networks }

    package var isEmpty: Bool { networks.isEmpty }

    /// Returns whether a proxy with this address is trusted; nil, a peer without an address, isn't.
    package func contains(_ address: NetworkAddress?) -> Bool {
        guard let address else { return false }
        return networks.contains { $0.contains(address) }
    }
}

extension NetworkAddress {
    private static let privateNetworks = [
        "127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
    ].compactMap { AddressNetwork($0) }

    /// Whether the Internet has no route to the address: loopback, private (RFC 1918, RFC 4193), shared (RFC 6598) and link-local addresses.
    package var isPrivate: Bool { Self.privateNetworks.contains { $0.contains(self) } }
}
