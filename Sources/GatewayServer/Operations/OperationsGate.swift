// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The access rules of the operations listener, independent of HTTP.
///
/// The listener usually is on loopback, where every web page in a browser on the same machine can send requests, too. So the
/// `Host` of a request must be an address (a page that rebinds its own DNS name can't send that), and the request must not come from a page
/// of another origin (Fetch, `Origin` and `Sec-Fetch-Site`). Everything except health also needs the token. Health accepts any `Host`,
/// since probes use various names; with a foreign name its responses have no details.
package struct OperationsGate: Sendable, Hashable {
    /// The parts of a request that the rules check.
    package struct Request: Sendable, Hashable {
        /// The path as sent, without the query.
        package var path: String
        /// The `Host` field; nil if there is none.
        package var host: String?
        package var hasSeveralHosts = false
        package var origin: String?
        package var fetchSite: String?
        package var authorization: String?
        /// Whether the route needs no token, as health.
        package var isOpen = false
        /// Whether the connection uses TLS.
        package var isSecure = false

        package init(path: String, host: String?) {
            self.path = path
            self.host = host
        }
    }

    package enum Verdict: Sendable, Hashable {
        case pass(OperationsIdentity)
        /// 400: no `Host`, or more than one (RFC 9112 §3.2).
        case invalidHost
        /// 403: the `Host` is a foreign name.
        case foreignHost
        /// 403: the request comes from a web page of another origin.
        case foreignOrigin
        /// 401: no token, or a wrong one (RFC 6750 §3).
        case unauthorized
        /// 403: a token is required and none is configured.
        case noTokenConfigured
    }

    /// The host of `operations.address`.
    package var host: String
    /// Whether everything except health requires a token even if none is configured.
    package var requiresToken: Bool

    package init(host: String, requiresToken: Bool) {
        self.host = host
        self.requiresToken = requiresToken
    }

    /// Creates the rules of a listener. Any address other than loopback always requires a token.
    ///
    /// - Parameters:
    ///   - address: `operations.address`
    ///   - requiresToken: whether a token is required on loopback, too, as in production
    package init(listeningOn address: SocketEndpoint, requiresToken: Bool) {
        self.init(host: address.host, requiresToken: requiresToken || !address.isLoopback)
    }

    /// - Parameter tokens: the tokens that are configured now; an empty one isn't a token.
    package func verdict(on request: Request, tokens: [OperationsToken]) -> Verdict {
        let tokens = tokens.filter { !$0.secret.isEmpty }
        guard let host = request.host, !host.isEmpty, !request.hasSeveralHosts else { return .invalidHost }
        let isHealth = Self.isHealth(request.path)
        guard isHealth || isListenerHost(host) else { return .foreignHost }
        if let origin = request.origin, origin.lowercased() != "\(request.isSecure ? "https" : "http")://\(host.lowercased())" {
            return .foreignOrigin
        }
        switch request.fetchSite {
        case nil, "same-origin", "none": break
        default: return .foreignOrigin
        }
        if isHealth || request.isOpen { return .pass(.unidentified) }
        guard !tokens.isEmpty else { return requiresToken ? .noTokenConfigured : .pass(.anyone) }
        guard let presented = request.authorization.flatMap({ Self.token(in: $0) }) else { return .unauthorized }
        // Every token is compared, so that the time tells nothing about which one is close.
        var identity: OperationsIdentity?
        for token in tokens where Self.areEqual(presented, Array(token.secret.utf8)) { identity = identity ?? token.identity }
        return identity.map { .pass($0) } ?? .unauthorized
    }

    /// Whether a path is one of the router's health paths. The comparison is exact, so that no other spelling of a path is treated as
    /// health.
    package static func isHealth(_ path: String) -> Bool { ["/livez", "/readyz", "/health"].contains(path) }

    /// Whether a `Host` is an IP literal, `localhost` or the configured host, with any port or none.
    package func isListenerHost(_ field: String?) -> Bool {
        guard let field, let name = Self.name(in: field) else { return false }
        if name.lowercased() == "localhost" || name.lowercased() == host.lowercased() { return true }
        return (try? SocketAddress(ipAddress: name, port: 0)) != nil
    }

    /// Returns the host of `host[:port]` (RFC 9110 §7.2), without the brackets of an IPv6 literal; nil if the text is invalid.
    private static func name(in field: String) -> String? {
        let name: Substring
        let rest: Substring
        if field.first == "[" {
            guard let end = field.firstIndex(of: "]") else { return nil }
            name = field[field.index(after: field.startIndex)..<end]
            rest = field[field.index(after: end)...]
            guard name.utf8.contains(UInt8(ascii: ":")) else { return nil }
        } else {
            let end = field.firstIndex(of: ":") ?? field.endIndex
            name = field[..<end]
            rest = field[end...]
        }
        guard !name.isEmpty else { return nil }
        if !rest.isEmpty {
            let digits = rest.utf8.dropFirst()
            guard rest.first == ":", digits.count <= 5, digits.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        }
        return String(name)
    }

    /// Returns the token of an `Authorization` field that consists of `Bearer` and a token (RFC 6750 §2.1); nil for another field.
    private static func token(in authorization: String) -> ArraySlice<UInt8>? {
        let scheme = "bearer "
        let bytes = Array(authorization.utf8)
        guard bytes.count > scheme.utf8.count, zip(bytes, scheme.utf8).allSatisfy({ ($0 | 0x20) == $1 }) else { return nil }
        return bytes[scheme.utf8.count...]
    }

    /// Compares in a time that depends only on the length of `secret`, so that the secret can't be guessed byte by byte.
    @inline(never)
    private static func areEqual(_ presented: ArraySlice<UInt8>, _ secret: [UInt8]) -> Bool {
        var difference = presented.count ^ secret.count
        for index in 0..<secret.count {
            let byte = index < presented.count ? presented[presented.startIndex + index] : 0
            difference |= Int(byte ^ secret[index])
        }
        return difference == 0
    }
}
