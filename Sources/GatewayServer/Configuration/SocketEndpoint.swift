import Glibc

/// A host and a port to listen on, written `127.0.0.1:8443`, `[::1]:8443` or `localhost:0`.
package struct SocketEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 or IPv6 address (without brackets), or a host name.
    package var host: String
    /// 0 to 65535; 0 lets the system choose one.
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`. Nil for anything else: no port or one above 65535, an IPv6 address without brackets, an impossible
    /// IPv4 or IPv6 address, a character that no host name has.
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

    /// As it is written in the configuration, with brackets round an IPv6 address.
    package var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether nobody but this machine can connect: `127.0.0.0/8`, `::1` in any spelling, `localhost`.
    package var isLoopback: Bool {
        if host.lowercased() == "localhost" { return true }
        if let four = SocketEndpoint.bytes(of: host, family: AF_INET) { return four.first == 127 }
        guard let six = SocketEndpoint.bytes(of: host, family: AF_INET6) else { return false }
        return six.dropLast().allSatisfy { $0 == 0 } && six.last == 1
    }

    private static func isAddress(_ text: String, family: Int32) -> Bool {
        bytes(of: text, family: family) != nil
    }

    /// The address in network order, 4 or 16 bytes.
    private static func bytes(of text: String, family: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        return inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }

    /// Letters, digits, `.`, `-` and `_`. What consists of digits and dots must be an IPv4 address: `10.0.0.256` is nobody's name.
    private static func isHostName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        let characters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_".utf8)
        guard text.utf8.allSatisfy(characters.contains) else { return false }
        return text.utf8.contains { !Set("0123456789.".utf8).contains($0) } || isAddress(text, family: AF_INET)
    }
}
