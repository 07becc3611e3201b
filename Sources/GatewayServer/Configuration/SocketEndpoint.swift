// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Glibc

/// A host and port to listen on, written `127.0.0.1:8443`, `[::1]:8443` or `localhost:0`.
package struct SocketEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 or IPv6 address (without brackets), or a host name.
    package var host: String
    /// 0 to 65535; 0: the system chooses a free port.
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Parses `host:port`. Returns nil for a missing port or one above 65535, an IPv6 address without brackets, an invalid IPv4 or IPv6
    /// address, or a character that host names don't have.
    package init?(_ text: String) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let port = ConfigurationNotation.count(String(text[text.index(after: colon)...])), port <= 65535
        else { return nil }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            let inside = String(host.dropFirst().dropLast())
            guard SocketEndpoint.isAddress(inside, family: AF_INET6) else { return nil }
            self.init(host: inside, port: port)
        } else {
            guard SocketEndpoint.isHostName(String(host)) else { return nil }
            self.init(host: String(host), port: port)
        }
    }

    /// The notation of the configuration, with brackets around an IPv6 address.
    package var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether only this machine can connect: `127.0.0.0/8`, `::1` in any notation, `localhost`.
    package var isLoopback: Bool {
        if host.lowercased() == "localhost" { return true }
        if let four = SocketEndpoint.bytes(of: host, family: AF_INET) { return four.first == 127 }
        guard let six = SocketEndpoint.bytes(of: host, family: AF_INET6) else { return false }
        return six.dropLast().allSatisfy { $0 == 0 } && six.last == 1
    }

    /// Whether the host is `0.0.0.0` or `::` in any notation: every address of the machine, to which no other machine can connect.
    package var isWildcard: Bool {
        (SocketEndpoint.bytes(of: host, family: AF_INET) ?? SocketEndpoint.bytes(of: host, family: AF_INET6))?.allSatisfy { $0 == 0 }
            == true
    }

    /// Whether the host is a loopback, private, shared or link-local address, or `localhost`. The wildcard addresses and other names aren't.
    package var isPrivate: Bool { isLoopback || NetworkAddress(host)?.isPrivate == true }

    private static func isAddress(_ text: String, family: Int32) -> Bool {
        bytes(of: text, family: family) != nil
    }

    /// Returns the address in network byte order, 4 or 16 bytes.
    private static func bytes(of text: String, family: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        return inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }

    /// Whether a text has only letters, digits, `.`, `-` and `_`. A text of digits and dots must be an IPv4 address: `10.0.0.256` is no
    /// host name.
    private static func isHostName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        let characters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_".utf8)
        guard text.utf8.allSatisfy(characters.contains) else { return false }
        return text.utf8.contains { !Set("0123456789.".utf8).contains($0) } || isAddress(text, family: AF_INET)
    }
}
