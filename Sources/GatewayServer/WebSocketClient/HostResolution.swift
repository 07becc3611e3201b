import GatewayWebSocket
import NIOCore

/// An address that stands in for the look-up of a name, written `HOST:PORT:ADDRESS` as curl's `--resolve` has it.
package struct HostResolution: Sendable, Hashable {
    /// Why a text isn't one. The descriptions are for people.
    package enum Fault: Error, Sendable, Hashable, CaseIterable {
        case form, host, port, address
    }

    /// Nil for every host.
    package var host: String?
    /// 1–65535.
    package var port: Int
    /// IPv4 or IPv6 addresses without brackets, in the order in which they are tried; at least one.
    package var addresses: [String]

    /// Reads `HOST:PORT:ADDRESS[,ADDRESS]…`. IPv6 addresses may stand in brackets; `*` is every host; a leading `+` is passed over.
    package init(_ text: String) throws(Fault) {
        var rest = text[...]
        if rest.first == "+" { rest = rest.dropFirst() }
        let name: Substring
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { throw .host }
            name = rest[..<end].dropFirst()
            rest = rest[rest.index(after: end)...]
            guard (try? SocketAddress(ipAddress: String(name), port: 0))?.protocol == .inet6 else { throw .host }
        } else {
            guard let colon = rest.firstIndex(of: ":") else { throw .form }
            name = rest[..<colon]
            rest = rest[colon...]
            guard name == "*" || !name.isEmpty && HostGrammar.isValid(name) else { throw .host }
        }
        guard rest.first == ":", let colon = rest.dropFirst().firstIndex(of: ":") else { throw .form }
        guard let port = UInt16(rest[..<colon].dropFirst()), port > 0 else { throw .port }
        self.port = Int(port)
        host = name == "*" ? nil : name.lowercased()
        addresses = []
        for part in rest[colon...].dropFirst().split(separator: ",", omittingEmptySubsequences: false) {
            let inBrackets = part.first == "[" && part.last == "]"
            let address = String(inBrackets ? part.dropFirst().dropLast() : part)
            guard let parsed = try? SocketAddress(ipAddress: address, port: 0), !inBrackets || parsed.protocol == .inet6 else {
                throw .address
            }
            addresses.append(address)
        }
    }

    /// Whether it stands in for the name of this URL.
    package func covers(_ url: WebSocketURL) -> Bool {
        port == url.port && (host ?? url.host.lowercased()) == url.host.lowercased()
    }
}

extension HostResolution.Fault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .form: "HOST:PORT:ADDRESS is expected, such as gateway.example:443:127.0.0.1"
        case .host: "the host is a name, an address or *"
        case .port: "the port must be 1–65535"
        case .address: "each address must be an IPv4 or IPv6 address"
        }
    }
}
