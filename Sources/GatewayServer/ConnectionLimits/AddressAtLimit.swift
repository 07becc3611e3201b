// SPDX-License-Identifier: Apache-2.0

/// A client address that has reached a limit by address, for operators.
package struct AddressAtLimit: Sendable, Hashable, Codable, Comparable {
    /// An IPv4 address, or the /64 network of an IPv6 address.
    package var address: String
    /// Open WebSockets.
    package var connections: Int
    /// The configuration keys of the limits.
    package var rules: [String]

    package static func < (left: AddressAtLimit, right: AddressAtLimit) -> Bool {
        left.connections == right.connections ? left.address < right.address : left.connections > right.connections
    }
}
