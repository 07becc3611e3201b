// SPDX-License-Identifier: Apache-2.0

/// The client of a request that came through trusted proxies, as the fields `Forwarded` (RFC 7239), `X-Forwarded-For` and
/// `X-Forwarded-Proto` announce it.
///
/// The hops are read from the last one to the first, as long as they are trusted proxies: the client is the first hop from the right that
/// isn't one. A hop without a usable address (`unknown`, an obfuscated identifier, a malformed element) ends the search, and the client is
/// the hop after it, the last one that a trusted proxy vouches for. `Forwarded` has precedence; `X-Forwarded-For` counts if `Forwarded`
/// announces no address at all.
package struct ForwardedClient: Sendable, Equatable {
    /// Nil when the fields announce no address.
    package var address: NetworkAddress?
    package var port: UInt16?
    /// Whether the client's connection is encrypted; nil when the fields don't tell.
    package var isEncrypted: Bool?

    /// - Parameters:
    ///   - forwarded: the values of `Forwarded`, one for each field line
    ///   - forwardedFor: the values of `X-Forwarded-For`
    ///   - forwardedProto: the values of `X-Forwarded-Proto`. If there are several schemes, each must be encrypted.
    package init(forwarded: [String], forwardedFor: [String], forwardedProto: [String], trusted: TrustedProxies) {
        let hops = ForwardedHop.forwarded(forwarded)
        let announced = Self.client(of: hops, trusted: trusted)
        let client = announced ?? Self.client(of: ForwardedHop.forwardedFor(forwardedFor), trusted: trusted)
        address = client?.address
        port = client?.port
        let schemes = forwardedProto.flatMap { $0.utf8.split(separator: 0x2C) }
            .map { ForwardedHop.lowercased(ForwardedHop.trimmed(Array($0)[...])) }.filter { !$0.isEmpty }
        if let scheme = announced.map(\.scheme) ?? hops.first?.scheme {
            isEncrypted = Self.isEncrypted(scheme)
        } else if !schemes.isEmpty {
            isEncrypted = schemes.allSatisfy(Self.isEncrypted)
        }
    }

    private static func client(of hops: [ForwardedHop], trusted: TrustedProxies) -> ForwardedHop? {
        var client: ForwardedHop?
        for hop in hops {
            guard hop.address != nil else { return client }
            client = hop
            if !trusted.contains(hop.address) { return client }
        }
        return client
    }

    private static func isEncrypted(_ scheme: String) -> Bool { scheme == "https" || scheme == "wss" }
}
