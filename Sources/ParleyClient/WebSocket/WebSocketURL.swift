// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket

/// The components of a `ws:` or `wss:` URL (RFC 6455 §3).
package struct WebSocketURL: Sendable, Hashable {
    /// The reason why a text isn't such a URL. The descriptions are messages for users.
    package enum Fault: Error, Sendable, Hashable, CaseIterable {
        case characters, scheme, fragment, userInformation, host, port
    }

    /// Whether the scheme is `wss:`.
    package var isSecure: Bool
    /// A name or an address; an IPv6 address without brackets.
    package var host: String
    /// 1–65535.
    package var port: Int
    /// Path and query, beginning with a slash.
    package var target: String

    /// - Parameter defaultPath: the path if the URL has none, or only a slash
    package init(_ text: String, defaultPath: String = "/") throws(Fault) {
        guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else { throw .characters }
        let rest: Substring
        if let secure = Self.dropping("wss://", from: text) {
            (isSecure, rest) = (true, secure)
        } else if let plain = Self.dropping("ws://", from: text) {
            (isSecure, rest) = (false, plain)
        } else {
            throw .scheme
        }
        guard !rest.contains("#") else { throw .fragment }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains("@") else { throw .userInformation }
        guard HostGrammar.isValid(authority) else { throw .host }

        let portStart: Substring.Index?
        if let bracket = authority.lastIndex(of: "]") {
            host = String(authority[..<bracket].dropFirst())
            portStart = authority[bracket...].firstIndex(of: ":")
        } else {
            portStart = authority.firstIndex(of: ":")
            host = String(authority[..<(portStart ?? authority.endIndex)])
        }
        port = isSecure ? 443 : 80
        if let portStart {
            let digits = authority[authority.index(after: portStart)...]
            if !digits.isEmpty {
                guard let number = UInt16(digits), number > 0 else { throw .port }
                port = Int(number)
            }
        }
        let path = rest[end...]
        switch path.first {
        case nil: target = defaultPath
        case "?": target = defaultPath + path
        default: target = path == "/" ? defaultPath : path.hasPrefix("/?") ? defaultPath + path.dropFirst() : String(path)
        }
    }

    /// The value of `Host`: host and port, the latter only if it isn't the default of the scheme.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    private static func dropping(_ prefix: String, from text: String) -> Substring? {
        text.prefix(prefix.count).lowercased() == prefix ? text.dropFirst(prefix.count) : nil
    }
}

extension WebSocketURL: CustomStringConvertible {
    package var description: String { "\(isSecure ? "wss" : "ws")://\(authority)\(target)" }
}

extension WebSocketURL.Fault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .characters: "a URL may contain only printable ASCII characters; percent-encode others"
        case .scheme: "the URL must begin with wss:// or ws://"
        case .fragment: "a WebSocket URL can't have a fragment (#…)"
        case .userInformation: "the URL must not contain credentials"
        case .host: "the URL's host is malformed"
        case .port: "the URL's port must be 1–65535"
        }
    }
}
