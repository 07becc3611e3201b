// SPDX-License-Identifier: Apache-2.0

/// The reason why a connection was closed, or got an error response, before its upgrade.
package enum ConnectionRejection: Int, MetricLabel {
    case proxyHeader, untrustedProxy, addressLimit, userLimit, connectionLimit, sessionLimit, memory, store, draining
    case tlsHandshake, plainHTTP, timeout
    case invalidRequest, notFound, origin, unauthenticated, forbidden, tokenFailures

    /// The reason of an HTTP response.
    package init(_ reason: ErrorReason) {
        switch reason {
        case .addressLimit: self = .addressLimit
        case .userLimit: self = .userLimit
        case .tokenFailures: self = .tokenFailures
        case .connectionLimit: self = .connectionLimit
        case .storeUnavailable: self = .store
        case .memoryExhausted: self = .memory
        default: self.init(reason.code)
        }
    }

    private init(_ code: ErrorCode) {
        switch code {
        case .sessionLimit: self = .sessionLimit
        case .draining: self = .draining
        case .notFound: self = .notFound
        case .originDenied: self = .origin
        case .unauthorized, .tokenExpired: self = .unauthenticated
        case .forbidden: self = .forbidden
        default: self = .invalidRequest
        }
    }

    package var label: String {
        switch self {
        case .proxyHeader: "proxy_header"
        case .untrustedProxy: "untrusted_proxy"
        case .addressLimit: "address_limit"
        case .userLimit: "user_limit"
        case .connectionLimit: "connection_limit"
        case .sessionLimit: "session_limit"
        case .memory, .store, .draining, .timeout, .origin, .unauthenticated, .forbidden: "\(self)"
        case .tlsHandshake: "tls_handshake"
        case .plainHTTP: "plain_http"
        case .invalidRequest: "invalid_request"
        case .notFound: "not_found"
        case .tokenFailures: "token_failures"
        }
    }
}

/// A completed TLS handshake, by version and by whether the session was resumed.
package enum HandshakeKind: Int, MetricLabel {
    case full1_2, resumed1_2, full1_3, resumed1_3

    package var version: String { self == .full1_2 || self == .resumed1_2 ? "1.2" : "1.3" }
    package var isResumed: Bool { self == .resumed1_2 || self == .resumed1_3 }
    package var label: String { "\(version) \(isResumed ? "resumed" : "full")" }
}

/// The reason for a failed TLS handshake.
package enum HandshakeFailure: Int, MetricLabel {
    /// The peer closed the connection without an alert, as port scans and health probes do.
    case closed
    case timeout
    case plainHTTP
    /// The peer supports neither TLS 1.2 nor TLS 1.3.
    case version
    /// The peers have no cipher or signature algorithm in common, or no application protocol.
    case parameters
    /// The client's certificate is missing or invalid.
    case clientCertificate
    /// The client rejected the gateway's certificate.
    case certificateRejected
    /// The peer sent another alert.
    case alert
    /// The peer's bytes aren't valid TLS.
    case malformed

    package var label: String {
        switch self {
        case .plainHTTP: "plain_http"
        case .clientCertificate: "client_certificate"
        case .certificateRejected: "certificate_rejected"
        case .closed, .timeout, .version, .parameters, .alert, .malformed: "\(self)"
        }
    }

    /// The reason for a handshake that ended with an alert (RFC 8446 §6.2).
    ///
    /// - Parameters:
    ///   - alert: the description of the alert; nil without one
    ///   - isReceived: whether the peer sent the alert
    package init(alert: UInt8?, isReceived: Bool) {
        guard let alert else {
            self = .malformed
            return
        }
        switch alert {
        case 70, 86: self = .version
        case 40, 47, 71, 120: self = isReceived ? .alert : .parameters
        case 42...46, 48, 116: self = isReceived ? .certificateRejected : .clientCertificate
        default: self = isReceived ? .alert : .malformed
        }
    }
}

/// The party that closed a WebSocket first.
package enum CloseInitiator: Int, MetricLabel {
    case client, gateway
    /// The connection was lost: neither party sent a close frame.
    case network

    package var label: String { "\(self)" }
}

/// A close code, as a label: the gateway's own codes, 1005 and 1006, and 3000 for every other code of a client.
package struct CountedCloseCode: MetricLabel {
    private static let codes = CloseCode.allCases.map(\.rawValue) + [1005, 1006, 3000]
    package static let allCases = codes.indices.map { CountedCloseCode(ordinal: $0) }

    package let ordinal: Int

    private init(ordinal: Int) { self.ordinal = ordinal }

    /// - Parameter code: nil counts as 1006
    package init(_ code: UInt16?) {
        ordinal = Self.codes.firstIndex(of: code ?? 1006) ?? Self.codes.count - 1
    }

    package var code: UInt16 { Self.codes[ordinal] }
    package var label: String { "\(code)" }
}
