// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore

/// The key of limits by address: an IPv4 address, or the /64 network of an IPv6 address (RFC 6177: a site has at least a /64).
package struct ClientAddress: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64
    /// Whether no limit by address applies: the address is a trusted proxy's.
    package let isExempt: Bool

    package var key: ClientKey { isExempt ? .unknown : .address(high: high, low: low) }

    /// A trusted proxy, or a client whose address a trusted proxy didn't announce.
    package static let exempt = ClientAddress(high: 0, low: 0, isExempt: true)

    private init(high: UInt64, low: UInt64, isExempt: Bool = false) {
        self.high = high
        self.low = low
        self.isExempt = isExempt
    }

    /// IPv4 clients of a dual-stack listener have mapped addresses, which share one /64: each is counted by its IPv4 address.
    package init(of address: NetworkAddress) { self.init(high: address.high, low: address.isIPv4 ? address.low : 0) }

    package init(_ address: SocketAddress?) {
        if let address = NetworkAddress(address) {
            self.init(of: address)
        } else {
            self.init(high: 0, low: 0)
        }
    }
}

extension ClientAddress: CustomStringConvertible {
    /// `192.0.2.1`, or `2001:db8:1:2::/64`.
    package var description: String {
        let address = NetworkAddress(high: high, low: low)
        return address.isIPv4 ? "\(address)" : "\(address)/64"
    }
}

extension NetworkAddress {
    /// The address of a socket; nil for a Unix domain socket.
    package init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let v4): self.init(bytes: withUnsafeBytes(of: v4.address) { Array($0.dropFirst(4).prefix(4)) })
        case .v6(let v6): self.init(bytes: withUnsafeBytes(of: v6.address) { Array($0.dropFirst(8).prefix(16)) })
        default: return nil
        }
    }
}
