// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import NIOCore

/// Addresses that replace the name resolution of a host, written `HOST:PORT:ADDRESS` as in curl's `--resolve`.
package struct HostResolution: Sendable, Hashable {
    /// The reason why a text is invalid. The descriptions are messages for users.
    package enum Fault: Error, Sendable, Hashable, CaseIterable {
        case form, host, port, address
    }

    /// The host in lower case; nil for every host.
    package var host: String?
    /// 1–65535.
    package var port: Int
    /// IPv4 or IPv6 addresses without brackets, in the order in which they are tried; at least one.
    package var addresses: [String]

    /// Parses `HOST:PORT:ADDRESS[,ADDRESS]…`. IPv6 addresses may be in brackets; `*` matches every host; a leading `+` is ignored.
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

    /// Whether the entry applies to the host and port of this URL.
    package func matches(_ url: WebSocketURL) -> Bool {
        port == url.port && (host ?? url.host.lowercased()) == url.host.lowercased()
    }
}

extension HostResolution.Fault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .form: "expected HOST:PORT:ADDRESS, such as gateway.example:443:127.0.0.1"
        case .host: "the host must be a name, an address or *"
        case .port: "the port must be 1–65535"
        case .address: "each address must be an IPv4 or IPv6 address"
        }
    }
}
