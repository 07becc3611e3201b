extension ConfigurationKey {
    /// `listen.*`, `tls.*`, `http.*`, `connections.*`, `websocket.*`, `heartbeat.*`.
    static let listening: [ConfigurationKey] = [
        .endpoint(
            "listen.address", \.listen.address,
            "Where clients connect, over TLS. Port 0 lets the system choose one. In a file, an IPv6 address needs quotes."),
        .count("listen.loops", \.listen.loops, in: 1...1024, zero: "one a core", "Event loops."),

        .list(
            "tls.certificates", \.tls.certificates, of: "cert.pem:key.pem, such as [/etc/parley/cert.pem:/etc/parley/key.pem]",
            reload: .live,
            "Certificate chains and their keys, PEM. SNI chooses; the first is the default. Development makes its own when there is none.",
            read: { CertificateFiles($0) }, write: { $0.description }),
        .choice("tls.minimum_version", \.tls.minimumVersion, "The oldest version of TLS that is spoken."),
        .duration("tls.handshake_timeout", \.tls.handshakeTimeout, "For the whole handshake; bytes that trickle in don't extend it."),
        .duration(
            "tls.ticket_rotation", \.tls.ticketRotation, "The key that seals session tickets is replaced after so long."),
        .path("tls.client_ca", \.tls.clientCA, "PEM file of the authorities that sign client certificates. Needed by tls.client_auth."),
        .choice("tls.client_auth", \.tls.clientAuth, "Whether clients show a certificate."),

        .duration("http.header_timeout", \.http.headerTimeout, "From accept to the whole request head; trickled bytes don't extend it."),
        .size("http.max_header_bytes", \.http.maxHeaderBytes, "Size of a request head. Beyond it: 431."),
        .count("http.max_headers", \.http.maxHeaders, "Fields of a request head. Beyond it: 431."),
        .toggle("http.query_tokens", \.http.queryTokens, "Whether credentials may be in the URL, which others log."),
        .list(
            "http.allowed_origins", \.http.allowedOrigins,
            of: "origins as browsers send them, scheme://host or scheme://host:port, null, file://, or *",
            reload: .live,
            "Web pages that may connect. * is any, and refused in production. A request without Origin is no browser's and passes.",
            read: { origin($0) }, write: { $0 }),

        .count("connections.max", \.connections.max, reload: .live, "WebSockets at a time. Beyond it: 503."),
        .count(
            "connections.max_sockets", \.connections.maxSockets, reload: .live,
            "Sockets at a time, with handshakes and health probes: accepting pauses there. Unless set: connections.max + 128."),
        .count(
            "connections.per_address", \.connections.perAddress, reload: .live,
            "WebSockets from one address (IPv6: one /64). Beyond it: 429."),
        .list(
            "connections.trusted_proxies", \.connections.trustedProxies, of: "addresses or networks, such as [10.0.0.0/8, ::1]",
            "Proxies whose PROXY protocol v2 and X-Forwarded-For are believed. Not available yet: leave it empty.",
            read: { $0.isEmpty ? nil : $0 }, write: { $0 }),
        .count(
            "connections.handshakes_per_second", \.connections.handshakesPerSecond, reload: .live,
            "New connections a second from one address. Beyond it they wait, or are closed."),
        .count(
            "connections.per_user", \.connections.perUser, reload: .live, "WebSockets of one user. Counts once there is authentication."),
        .choice(
            "connections.when_full", \.connections.whenFull, reload: .live,
            "At connections.per_user: the oldest makes room, or the new one is refused."),
        .duration(
            "connections.max_age", \.connections.maxAge, zero: "no limit", reload: .live,
            "Age at which a connection gets goaway, then 4003."),

        .size("websocket.max_message_bytes", \.websocket.maxMessageBytes, "Size of a message, raw and inflated. Beyond it: 1009."),
        .count("websocket.max_fragments", \.websocket.maxFragments, "Fragments of a message. Beyond it: 1009."),
        .choice(
            "websocket.compression", \.websocket.compression,
            "permessage-deflate: none, without context takeover and so without memory a connection, or with a context of its own."),
        .duration("websocket.close_timeout", \.websocket.closeTimeout, "How long the other side's close frame is awaited."),

        .duration("heartbeat.interval", \.heartbeat.interval, "Between two pings."),
        .duration("heartbeat.timeout", \.heartbeat.timeout, "A pong is awaited so long, then counted as missed, and pinged again."),
        .duration(
            "heartbeat.stale_after", \.heartbeat.staleAfter,
            "No byte at all for so long: closed 4001. At least heartbeat.interval + heartbeat.timeout."),
    ]

    /// A path, or none.
    static func path(_ name: String, _ path: Place<String?>, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: .restart, allowed: pathAllowed, meaning: meaning,
            read: { only($0).flatMap(filePath).map(Optional.some) }, write: { $0 })
    }

    static let pathAllowed = "the path of a file, 1 to 4096 bytes"

    /// A path that the system could take.
    @Sendable static func filePath(_ text: String) -> String? {
        (1...4096).contains(text.utf8.count) && !text.utf8.contains(0) ? text : nil
    }

    /// An origin as browsers and web views serialize it (RFC 6454 §6.2, WHATWG HTML "origin"), or `*`.
    ///
    /// They lower the case of every scheme, and of the host of http and https. The host of an app's scheme goes out as the app writes it
    /// (`safari-web-extension://` has an upper-case UUID), and may be empty (`file://`). A page without an origin of its own sends `null`.
    @Sendable static func origin(_ text: String) -> String? {
        if text == "*" || text.lowercased() == "null" { return text.lowercased() }
        guard let separator = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<separator.lowerBound].lowercased()
        let isWeb = scheme == "http" || scheme == "https"
        var authority = String(text[separator.upperBound...])
        if isWeb { authority = authority.lowercased() }
        // How people write the root of all files.
        if scheme == "file", authority == "/" { authority = "" }
        guard let first = scheme.utf8.first, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first),
            scheme.utf8.allSatisfy(Set("abcdefghijklmnopqrstuvwxyz0123456789+-.".utf8).contains),
            !(isWeb && authority.isEmpty), authority.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !Set("/?#@\\*\",".utf8).contains($0) })
        else { return nil }
        return "\(scheme)://\(authority)"
    }
}
