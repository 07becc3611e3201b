// SPDX-License-Identifier: Apache-2.0

import GatewayCore

extension ConfigurationKey {
    /// `listen.*`, `tls.*`, `http.*`, `connections.*`, `websocket.*`, `heartbeat.*`.
    static let listening: [ConfigurationKey] = [
        .endpoint(
            "listen.address", \.listen.address,
            "Address of the TLS listener for clients. Port 0: the system chooses a free port. In a file, quote an IPv6 address."),
        .count("listen.loops", \.listen.loops, in: 1...1024, zero: "one per core", "Number of event loops."),
        ConfigurationKey(
            "listen.plain", \.listen.plain, reload: .restart, allowed: "off, or \(endpointAllowed)",
            meaning:
                "Address of a second listener without TLS, for proxies that terminate it. Only connections.trusted_proxies may connect. In production, the address must be a private one.",
            read: { only($0).flatMap { $0 == "off" ? .some(nil) : SocketEndpoint($0).map(Optional.some) } },
            write: { $0?.description ?? "off" }),
        .choice(
            "listen.proxy_protocol", \.listen.proxyProtocol,
            "Whether connections.trusted_proxies may or must begin a connection with a PROXY protocol header, version 1 or 2."),

        .list(
            "tls.certificates", \.tls.certificates, of: "cert.pem:key.pem, such as [/etc/parley/cert.pem:/etc/parley/key.pem]",
            reload: .live,
            "Certificate chains with their private keys, PEM. SNI selects one; the first is the default. Development generates its own if none is set.",
            read: { CertificateFiles($0) }, write: { $0.description }),
        .choice("tls.minimum_version", \.tls.minimumVersion, "Oldest TLS version that is accepted."),
        .duration("tls.handshake_timeout", \.tls.handshakeTimeout, "Deadline for the whole handshake; received bytes don't extend it."),
        .duration(
            "tls.ticket_rotation", \.tls.ticketRotation, "Interval at which the key that encrypts session tickets is replaced."),
        .path("tls.client_ca", \.tls.clientCA, "PEM file of the CAs that sign client certificates. Required by tls.client_auth."),
        .choice("tls.client_auth", \.tls.clientAuth, "Whether clients may or must present a certificate."),

        .duration(
            "http.header_timeout", \.http.headerTimeout,
            "Deadline from accept to the end of the request head; received bytes don't extend it."),
        .size("http.max_header_bytes", \.http.maxHeaderBytes, "Maximum size of a request head. Beyond it: 431."),
        .count("http.max_headers", \.http.maxHeaders, "Maximum number of header fields of a request. Beyond it: 431."),
        .toggle("http.query_tokens", \.http.queryTokens, "Whether credentials are accepted in the URL, which proxies may log."),
        .list(
            "http.allowed_origins", \.http.allowedOrigins,
            of: "origins as browsers send them, scheme://host or scheme://host:port, null, file://, or *",
            reload: .live,
            "Web pages that may connect. * allows any and is rejected in production. Requests without Origin (non-browser clients) are allowed.",
            read: { origin($0) }, write: { $0 }),

        .count("connections.max", \.connections.max, reload: .live, "Maximum number of WebSocket connections. Beyond it: 503."),
        .count(
            "connections.max_sockets", \.connections.maxSockets, reload: .live,
            "Maximum number of sockets, handshakes and health probes included. At the limit, accepting pauses. Unless set: connections.max + 128."
        ),
        .count(
            "connections.per_address", \.connections.perAddress, reload: .live,
            "Maximum number of WebSocket connections per client address (IPv6: per /64). Beyond it: 429."),
        .list(
            "connections.trusted_proxies", \.connections.trustedProxies,
            of: "addresses or networks (no bit set after the prefix), such as [10.0.0.0/8, ::1]", reload: .live,
            "Proxies that may announce their clients, in a PROXY header (listen.proxy_protocol), Forwarded or X-Forwarded-For. No limit by address applies to them, but to the addresses that they announce.",
            read: { AddressNetwork($0) }, write: { $0.description }),
        .count(
            "connections.handshakes_per_second", \.connections.handshakesPerSecond, reload: .live,
            "New connections per second and client address. Further ones are closed at once."),
        .count(
            "connections.per_user", \.connections.perUser, reload: .live,
            "Maximum number of WebSocket connections per user. No effect without authentication."),
        .choice(
            "connections.when_full", \.connections.whenFull, reload: .live,
            "At connections.per_user: close the user's oldest connection, or reject the new one."),
        .duration(
            "connections.max_age", \.connections.maxAge, zero: "no limit", reload: .live,
            "Maximum age of a connection: it gets goaway, then close code 4003."),

        .size(
            "websocket.max_message_bytes", \.websocket.maxMessageBytes,
            "Maximum size of a message, as received and inflated. Beyond it: close code 1009."),
        .count(
            "websocket.max_fragments", \.websocket.maxFragments, "Maximum number of fragments of a message. Beyond it: close code 1009."),
        .choice(
            "websocket.compression", \.websocket.compression,
            "permessage-deflate: off, without context takeover (no memory per connection), or with a context per connection."),
        .duration("websocket.close_timeout", \.websocket.closeTimeout, "How long to wait for the peer's close frame."),

        .duration("heartbeat.interval", \.heartbeat.interval, "Interval between pings."),
        .duration(
            "heartbeat.timeout", \.heartbeat.timeout, "How long to wait for a pong. A missed pong is counted and triggers another ping."),
        .duration(
            "heartbeat.stale_after", \.heartbeat.staleAfter,
            "A connection that receives no byte for this long is closed with 4001. At least heartbeat.interval + heartbeat.timeout."),
    ]

    /// Creates the key of a file's path, unset by default.
    static func path(_ name: String, _ path: ValuePath<String?>, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: .restart, allowed: pathAllowed, meaning: meaning,
            read: { only($0).flatMap(filePath).map(Optional.some) }, write: { $0 })
    }

    static let pathAllowed = "the path of a file, 1 to 4096 bytes"

    /// Returns the text if it can be a path: 1 to 4096 bytes without NUL.
    @Sendable static func filePath(_ text: String) -> String? {
        (1...4096).contains(text.utf8.count) && !text.utf8.contains(0) ? text : nil
    }

    /// Parses an origin as browsers and web views serialize it (RFC 6454 §6.2, WHATWG HTML "origin"), or `*`.
    ///
    /// Browsers lower-case every scheme, and the host of http and https. The host of an app's scheme is sent as the app writes it
    /// (`safari-web-extension://` has an upper-case UUID) and may be empty (`file://`). A page with an opaque origin sends `null`.
    @Sendable static func origin(_ text: String) -> String? {
        if text == "*" || text.lowercased() == "null" { return text.lowercased() }
        guard let separator = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<separator.lowerBound].lowercased()
        let isWeb = scheme == "http" || scheme == "https"
        var authority = String(text[separator.upperBound...])
        if isWeb { authority = authority.lowercased() }
        // Users write the root of all files as `file:///`.
        if scheme == "file", authority == "/" { authority = "" }
        guard let first = scheme.utf8.first, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first),
            scheme.utf8.allSatisfy(Set("abcdefghijklmnopqrstuvwxyz0123456789+-.".utf8).contains),
            !(isWeb && authority.isEmpty), authority.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !Set("/?#@\\*\",".utf8).contains($0) })
        else { return nil }
        return "\(scheme)://\(authority)"
    }
}
