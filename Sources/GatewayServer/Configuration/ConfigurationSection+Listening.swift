// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

extension ConfigurationSection {
    /// `listen.*`: the TLS listener.
    package struct Listen: Sendable, Equatable {
        /// The address for clients. Port 0: the system chooses a free port.
        package var address = SocketEndpoint(host: "0.0.0.0", port: 8443)
        /// Number of event loops; 0: one per core.
        package var loops = 0
        /// The address of the second listener, without TLS, for proxies that terminate it; nil: none.
        package var plain: SocketEndpoint?
        /// Whether trusted proxies may or must send a PROXY protocol header.
        package var proxyProtocol = ProxyProtocolMode.off
    }

    /// `tls.*`: TLS 1.2 and 1.3.
    package struct TLS: Sendable, Equatable {
        /// The certificates, selected by SNI; the first is the default. Empty only in development, which generates its own.
        package var certificates: [CertificateFiles] = []
        /// The oldest version accepted.
        package var minimumVersion = TLSMinimumVersion.tls12
        /// Deadline for the whole handshake; received bytes don't extend it.
        package var handshakeTimeout = Duration.seconds(10)
        /// Interval at which the session-ticket key is replaced.
        package var ticketRotation = Duration.seconds(12 * 3600)
        /// PEM file of the CAs that sign client certificates.
        package var clientCA: String?
        /// Whether clients may or must present a certificate. Anything but `none` requires a `clientCA`.
        package var clientAuth = ClientAuthentication.none
    }

    /// `http.*`: the request before the upgrade.
    package struct HTTP: Sendable, Equatable {
        /// Deadline from accept to the end of the request head; received bytes don't extend it.
        package var headerTimeout = Duration.seconds(10)
        /// Maximum bytes of a request head, 431 beyond; 0: no limit.
        package var maxHeaderBytes = 16 * 1024
        /// Maximum header fields of a request, 431 beyond; 0: no limit.
        package var maxHeaders = 100
        /// Whether credentials in the URL are accepted.
        package var queryTokens = false
        /// Exact origins (`https://app.example`), or `*` for any. Requests without `Origin` are allowed.
        package var allowedOrigins: [String] = []
    }

    /// `connections.*`: limits by number, address, user and age.
    package struct Connections: Sendable, Equatable {
        /// Maximum WebSocket connections, 503 beyond; 0: no limit.
        package var max = 1000
        /// Maximum accepted sockets, handshakes and health probes included; accepting pauses at the limit; 0: no limit. Unless set, it is
        /// `max` + 128, or no limit if `max` is 0.
        package var maxSockets = 1128
        /// Maximum WebSocket connections per address (IPv6: per /64), 429 beyond; 0: no limit.
        package var perAddress = 10
        /// The proxies whose PROXY protocol headers and `Forwarded` and `X-Forwarded-*` fields count. No limit by address applies to them.
        package var trustedProxies: [AddressNetwork] = []
        /// New connections per second and address; 0: no limit.
        package var handshakesPerSecond = 20
        /// Maximum WebSocket connections per authenticated user; 0: no limit. No effect without authentication.
        package var perUser = 3
        /// The connection that is closed or rejected when a user is at `perUser`.
        package var whenFull = WhenFull.evictOldest
        /// Age at which a connection is sent `goaway` and then closed; 0: no limit.
        package var maxAge = Duration.seconds(24 * 3600)
    }

    /// `websocket.*`: RFC 6455 and RFC 7692.
    package struct WebSocket: Sendable, Equatable {
        /// Maximum bytes of a whole message, as received and inflated, 1009 beyond; 0: no limit.
        package var maxMessageBytes = 2_000_000
        /// Maximum fragments of a message, 1009 beyond; 0: no limit.
        package var maxFragments = 1024
        /// Whether and how permessage-deflate is negotiated.
        package var compression = CompressionMode.shared
        /// How long to wait for the peer's close frame.
        package var closeTimeout = Duration.seconds(5)
    }

    /// `heartbeat.*`: liveness checks. `staleAfter` is never less than `interval` + `timeout`.
    package struct Heartbeat: Sendable, Equatable {
        /// Interval between pings.
        package var interval = Duration.seconds(30)
        /// How long to wait for a pong before it counts as missed.
        package var timeout = Duration.seconds(10)
        /// A connection that receives no byte for this long is closed with 4001.
        package var staleAfter = Duration.seconds(75)
    }
}

/// `listen.proxy_protocol`.
package enum ProxyProtocolMode: String, Sendable, CaseIterable {
    case off, optional, required
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

/// `connections.when_full`: whether the oldest connection of a user is closed, or the new one is rejected.
package enum WhenFull: String, Sendable, CaseIterable {
    case evictOldest = "evict_oldest"
    case reject
}

/// `websocket.compression`: off; without context takeover and memory per connection; or with a context per connection.
package enum CompressionMode: String, Sendable, CaseIterable {
    case off, shared, dedicated
}
