// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore

/// The key of limits by address: an IPv4 address, or the /64 network of an IPv6 address (RFC 6177: a site has at least a /64).
package struct ClientAddress: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    package var key: ClientKey { .address(high: high, low: low) }

    package init(_ address: SocketAddress?) {
        switch address {
        case .v4(let v4):
            let address = withUnsafeBytes(of: v4.address) { Array($0.dropFirst(4).prefix(4)) }
            high = 0
            low = 0xFFFF_0000_0000 | address.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        case .v6(let v6):
            let bytes = withUnsafeBytes(of: v6.address) { Array($0.dropFirst(8).prefix(16)) }
            let first = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let second = bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            // IPv4 clients of a dual-stack listener have mapped addresses, which share one /64: each is counted by its IPv4 address.
            let isMapped = first == 0 && second >> 32 == 0xFFFF
            high = first
            low = isMapped ? second : 0
        default:
            high = 0
            low = 0
        }
    }
}

extension ClientAddress: CustomStringConvertible {
    /// `192.0.2.1`, or `2001:db8:1:2::/64`.
    package var description: String {
        if high == 0, low >> 32 == 0xFFFF {
            return (0..<4).map { String(low >> (24 - 8 * $0) & 0xFF) }.joined(separator: ".")
        }
        return (0..<4).map { String(high >> (48 - 16 * $0) & 0xFFFF, radix: 16) }.joined(separator: ":") + "::/64"
    }
}
