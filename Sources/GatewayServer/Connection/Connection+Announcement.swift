// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging

/// The announcement of a client's address by a trusted proxy, and the connection's address in the log.
extension Connection {
    /// Takes the announced address for the client's, unless a limit of that address is reached.
    ///
    /// - Parameter port: nil if the proxy didn't announce it
    /// - Returns: whether the limits of the address admit the connection
    package func announce(_ address: NetworkAddress, port: UInt16?, in loop: EventLoopState) -> Bool {
        let limits = loop.shared.connectionLimits
        let client = limits.client(at: address)
        announce(Self.text(address, port: port.map(Int.init)), client: client)
        guard limits.admitAnnounced(client, now: loop.sharedNow) else { return false }
        announced = client
        return true
    }

    /// Returns `192.0.2.1:4711`, `[2001:db8::1]:4711`, or the address alone.
    static func text(_ address: NetworkAddress, port: Int?) -> String {
        guard let port else { return "\(address)" }
        return address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }

    /// The fields of a log line: `address`, with a proxy `proxy`, and what the PROXY header tells about the client.
    package var addressMetadata: Logger.Metadata {
        var metadata: Logger.Metadata = ["address": "\(address)"]
        if let proxy { metadata["proxy"] = "\(proxy)" }
        if let authority = proxyNames.authority { metadata["server_name"] = "\(authority)" }
        if let certificate = proxyNames.certificate { metadata["client_certificate"] = "\(certificate)" }
        return metadata
    }
}
