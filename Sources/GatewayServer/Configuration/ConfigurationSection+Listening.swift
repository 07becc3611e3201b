extension ConfigurationSection {
    /// `listen.*`: the TLS listener.
    package struct Listen: Sendable, Equatable {
        /// Where clients connect. Port 0 lets the system choose one.
        package var address = SocketEndpoint(host: "0.0.0.0", port: 8443)
        /// Event loops; 0 makes one for each core.
        package var loops = 0
    }

    /// `tls.*`: TLS 1.2 and 1.3.
    package struct TLS: Sendable, Equatable {
        /// Chosen by SNI; the first is the default. Empty only in development, which makes its own.
        package var certificates: [CertificateFiles] = []
        /// The oldest version spoken.
        package var minimumVersion = TLSMinimumVersion.tls12
        /// For the whole handshake; trickled bytes don't extend it.
        package var handshakeTimeout = Duration.seconds(10)
        /// A session-ticket key is replaced after so long.
        package var ticketRotation = Duration.seconds(12 * 3600)
        /// PEM file of the authorities that may sign client certificates.
        package var clientCA: String?
        /// Whether a client has to show a certificate. Anything but `none` comes with a `clientCA`.
        package var clientAuth = ClientAuthentication.none
    }

    /// `http.*`: the request before the upgrade.
    package struct HTTP: Sendable, Equatable {
        /// From accept to the whole request head; trickled bytes don't extend it.
        package var headerTimeout = Duration.seconds(10)
        /// Bytes of a request head, 431 beyond; 0: off.
        package var maxHeaderBytes = 16 * 1024
        /// Fields of a request head, 431 beyond; 0: off.
        package var maxHeaders = 100
        /// Whether credentials in the URL are taken.
        package var queryTokens = false
        /// Exact origins (`https://app.example`), or `*` for any. A request without `Origin` passes.
        package var allowedOrigins: [String] = []
    }

    /// `connections.*`: how many, from whom, for how long.
    package struct Connections: Sendable, Equatable {
        /// WebSockets, 503 beyond; 0: off.
        package var max = 1000
        /// Every accepted socket, handshakes and health probes too: accepting pauses at it; 0: off.
        /// Unless set it follows `max`: 128 more, or off when that is off.
        package var maxSockets = 1128
        /// WebSockets from one address (IPv6: one /64), 429 beyond; 0: off.
        package var perAddress = 10
        /// Networks whose PROXY protocol v2 and X-Forwarded-For are believed.
        package var trustedProxies: [String] = []
        /// New connections a second from one address; 0: off.
        package var handshakesPerSecond = 20
        /// WebSockets of one authenticated user; 0: off. Without authentication there are no users.
        package var perUser = 3
        /// What happens when a user is at `perUser`.
        package var whenFull = WhenFull.evictOldest
        /// After so long a connection is asked to go and then closed; 0: off.
        package var maxAge = Duration.seconds(24 * 3600)
    }

    /// `websocket.*`: RFC 6455 and RFC 7692.
    package struct WebSocket: Sendable, Equatable {
        /// Bytes of a whole message, raw and inflated, 1009 beyond; 0: off.
        package var maxMessageBytes = 2_000_000
        /// Fragments of a message, 1009 beyond; 0: off.
        package var maxFragments = 1024
        /// Whether and how permessage-deflate is negotiated.
        package var compression = CompressionMode.shared
        /// How long the peer's close frame is awaited.
        package var closeTimeout = Duration.seconds(5)
    }

    /// `heartbeat.*`: liveness. `staleAfter` is never less than `interval` + `timeout`.
    package struct Heartbeat: Sendable, Equatable {
        /// Between two pings.
        package var interval = Duration.seconds(30)
        /// A pong is awaited so long, then counted as missed.
        package var timeout = Duration.seconds(10)
        /// No byte at all for so long closes the connection with 4001.
        package var staleAfter = Duration.seconds(75)
    }
}

/// `tls.minimum_version`.
package enum TLSMinimumVersion: String, Sendable, CaseIterable {
    case tls12 = "1.2"
    case tls13 = "1.3"
}

/// `tls.client_auth`.
package enum ClientAuthentication: String, Sendable, CaseIterable {
    case none, optional, required
}

/// `connections.when_full`: whether the oldest connection of a user makes room, or the new one is refused.
package enum WhenFull: String, Sendable, CaseIterable {
    case evictOldest = "evict_oldest"
    case reject
}

/// `websocket.compression`: none; without context takeover and without memory a connection; or with a context of its own.
package enum CompressionMode: String, Sendable, CaseIterable {
    case off, shared, dedicated
}
