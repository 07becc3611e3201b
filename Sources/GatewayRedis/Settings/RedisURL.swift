// SPDX-License-Identifier: Apache-2.0

/// A URL of a server, of the Sentinels of a master, or of nodes of a cluster.
///
///     redis[s]://[user:password@]host[:port][/database]
///     redis[s]+sentinel://[user:password@]host[:port][,host[:port]]…/master[/database][?sentinel_user=…&sentinel_password=…]
///     redis[s]+cluster://[user:password@]host[:port][,host[:port]]…
///
/// User, password, the name of the master and the values of parameters can be percent-encoded. The default port is 6379, for Sentinel 26379.
package struct RedisURL: Sendable, Hashable {
    package var mode: RedisSettings.Mode
    /// Whether the scheme begins with `rediss`.
    package var isSecure: Bool
    /// At least one.
    package var endpoints: [RedisEndpoint]
    package var user: String?
    package var password: RedisPassword?
    package var database = 0
    package var sentinelUser: String?
    package var sentinelPassword: RedisPassword?

    package static let maxEndpoints = 64

    private enum Kind: CaseIterable {
        case single, sentinel, cluster

        var suffix: String {
            switch self {
            case .single: "://"
            case .sentinel: "+sentinel://"
            case .cluster: "+cluster://"
            }
        }
    }

    package init(_ text: String) throws(RedisURLFault) {
        guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else { throw .characters }
        let (kind, isSecure, start) = try Self.scheme(of: text)
        self.isSecure = isSecure
        let rest = text[start...]
        guard !rest.contains("#") else { throw .fragment }
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let pathEnd = rest.firstIndex(of: "?") ?? rest.endIndex
        var hosts = rest[..<authorityEnd]
        // A slash or question mark in a password that isn't percent-encoded would end the authority before the `@`.
        guard !rest[authorityEnd..<pathEnd].contains("@") else { throw .userInformation }
        if let at = hosts.lastIndex(of: "@") {
            (user, password) = try Self.userInformation(hosts[..<at])
            hosts = hosts[hosts.index(after: at)...]
        }
        endpoints = try Self.endpoints(hosts, defaultPort: kind == .sentinel ? 26379 : 6379)
        guard endpoints.count == 1 || kind != .single else { throw .severalHosts }

        let path = rest[authorityEnd..<pathEnd].dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        switch kind {
        case .single:
            mode = .single
            guard path.count <= 1 else { throw .database }
            database = try Self.database(path.first)
        case .sentinel:
            guard let first = path.first, let name = Self.decoded(first), !name.isEmpty, !name.contains(" ") else { throw .masterName }
            mode = .sentinel(master: name)
            guard path.count <= 2 else { throw .database }
            database = try Self.database(path.dropFirst().first)
        case .cluster:
            mode = .cluster
            guard path.count <= 1, try Self.database(path.first) == 0 else { throw .clusterDatabase }
        }
        for parameter in rest[pathEnd...].dropFirst().split(separator: "&") {
            guard kind == .sentinel, let equals = parameter.firstIndex(of: "="),
                let value = Self.decoded(parameter[parameter.index(after: equals)...])
            else { throw .parameter }
            switch parameter[..<equals] {
            case "sentinel_user": sentinelUser = value
            case "sentinel_password": sentinelPassword = RedisPassword(value)
            default: throw .parameter
            }
        }
    }

    private static func scheme(of text: String) throws(RedisURLFault) -> (Kind, isSecure: Bool, start: String.Index) {
        for kind in Kind.allCases {
            for isSecure in [false, true] {
                let prefix = (isSecure ? "rediss" : "redis") + kind.suffix
                if text.prefix(prefix.count).lowercased() == prefix {
                    return (kind, isSecure, text.index(text.startIndex, offsetBy: prefix.count))
                }
            }
        }
        throw .scheme
    }

    /// Parses `user`, `user:password` or `:password`.
    private static func userInformation(_ text: Substring) throws(RedisURLFault) -> (String?, RedisPassword?) {
        let colon = text.firstIndex(of: ":") ?? text.endIndex
        guard let user = decoded(text[..<colon]), let password = decoded(text[colon...].dropFirst()) else { throw .userInformation }
        return (user.isEmpty ? nil : user, password.isEmpty ? nil : RedisPassword(password))
    }

    private static func endpoints(_ text: Substring, defaultPort: Int) throws(RedisURLFault) -> [RedisEndpoint] {
        var endpoints: [RedisEndpoint] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard endpoints.count < maxEndpoints else { throw .tooManyHosts }
            let host: Substring
            var rest: Substring
            if part.first == "[" {
                guard let end = part.firstIndex(of: "]") else { throw .host }
                host = part[..<end].dropFirst()
                rest = part[part.index(after: end)...]
                guard host.contains(":"), host.utf8.allSatisfy({ isAddressCharacter($0) }) else { throw .host }
            } else {
                let end = part.firstIndex(of: ":") ?? part.endIndex
                host = part[..<end]
                rest = part[end...]
                guard 1...253 ~= host.utf8.count, host.utf8.allSatisfy({ isNameCharacter($0) }) else { throw .host }
            }
            var port = defaultPort
            if !rest.isEmpty {
                guard rest.removeFirst() == ":" else { throw .host }
                guard rest.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = UInt16(rest), number > 0 else { throw .port }
                port = Int(number)
            }
            let endpoint = RedisEndpoint(host: String(host), port: port)
            if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        }
        return endpoints
    }

    private static func database(_ text: Substring?) throws(RedisURLFault) -> Int {
        guard let text, !text.isEmpty else { return 0 }
        guard text.utf8.count <= 9, text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = Int(text) else { throw .database }
        return number
    }

    /// Decodes percent-encoding (RFC 3986 §2.1); nil if it is malformed or the result isn't UTF-8 or contains control characters.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else { return nil }
            bytes.append(high << 4 | low)
        }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    private static func isAddressCharacter(_ byte: UInt8) -> Bool { hexadecimal(byte) != nil || byte == 0x3A || byte == 0x2E }

    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }
}
