// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayTLS

/// An accepted socket, from accept to close: its counters and close reason for the log, and its next deadline.
///
/// Belongs to one event loop. Before the upgrade the connection is aborted at its deadline; afterwards its ``ConnectionSocket`` is ticked.
package final class Connection {
    package enum Phase: Sendable {
        /// A trusted proxy's PROXY header is awaited.
        case proxyHeader
        case handshake, head, webSocket
        /// The last bytes were sent and the sending side is closed. Inbound bytes are discarded until the peer closes.
        case lingering
    }

    package let id: ULID
    /// The client's address and port as text, for the log: those that a trusted proxy announced, otherwise the peer's.
    package private(set) var address: String
    /// The key of limits by address.
    package private(set) var client: ClientAddress
    /// The address and port of the trusted proxy that announced the client; nil for a direct connection.
    package private(set) var proxy: String?
    /// The names in the PROXY header, for the log.
    package private(set) var proxyNames: (authority: String?, certificate: String?)
    /// Whether `Forwarded` and `X-Forwarded-*` count: the address, so far, is a trusted proxy's.
    package private(set) var trustsForwardedFields: Bool
    /// Whether a proxy announced that the client's connection isn't encrypted.
    package var isUnencrypted = false
    /// The announced address for which the socket counts in ``ConnectionLimits``.
    package var announced: ClientAddress?
    package let acceptedAt: Instant
    package var phase = Phase.handshake
    /// The time at which ``ConnectionTable`` ticks an upgraded connection, or aborts a connection that is lingering or not upgraded yet.
    package var deadline: Instant
    package var socket: (any ConnectionSocket)?
    /// Closes the socket at once.
    package let abort: () -> Void

    /// Whether the connection counts as a WebSocket in ``ConnectionLimits``.
    package var countsAsWebSocket = false
    package var isUpgraded = false
    package var sessionID: ULID?
    /// The name in the client's TLS certificate; nil without one.
    package var certificateName: String?
    /// The grant of the client; nil without authentication. Once set, the connection counts in ``UserConnections``.
    package var grant: Grant?
    /// The path of the request.
    package var path = ""
    /// The span of the connection; nil before the upgrade request and without tracing.
    package var trace: ConnectionTrace?
    package var bytesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    package var messagesIn: UInt64 = 0
    package var messagesOut: UInt64 = 0
    /// The close code for the log; set with ``closeReason``.
    package private(set) var closeCode: UInt16?
    /// The reason of the close for the log: the first one that was set.
    package private(set) var closeReason: String?
    /// The party that closed the WebSocket; set with ``closeReason``.
    package private(set) var closeInitiator = CloseInitiator.network
    /// The phase whose deadline has passed before the upgrade; nil otherwise.
    package internal(set) var timedOut: Phase?
    /// When the TLS handshake could begin: after the PROXY header, if there is one.
    package var handshakeBeganAt: Instant
    /// Nil unless the gateway drains.
    var drain: Drain?
    /// The position in ``ConnectionTable``.
    var index = 0

    /// The time for the peer to read the last bytes and close.
    package static let lingerTime = Instant.Duration.seconds(1)

    /// - Parameter isFromProxy: whether the peer is a trusted proxy
    package init(
        id: ULID, address: String, client: ClientAddress, isFromProxy: Bool = false, acceptedAt: Instant, deadline: Instant,
        abort: @escaping () -> Void
    ) {
        self.id = id
        self.address = address
        self.client = client
        self.trustsForwardedFields = isFromProxy
        self.acceptedAt = acceptedAt
        handshakeBeganAt = acceptedAt
        self.deadline = deadline
        self.abort = abort
    }

    /// The client that the connection's resources count against: its user or, without authentication, its address.
    package var subject: ClientKey { grant.map { ClientKey.user(named: $0.user) } ?? client.key }

    /// Replaces the address of a trusted proxy by the client's.
    ///
    /// - Parameters:
    ///   - client: the key of limits; ``ClientAddress/exempt`` if the address is itself a trusted proxy's, whose header fields count then
    package func announce(_ address: String, client: ClientAddress) {
        if proxy == nil { proxy = self.address }
        self.address = address
        self.client = client
        trustsForwardedFields = client.isExempt
    }

    /// Records the names in the PROXY header.
    package func announce(authority: String?, certificate: String?) { proxyNames = (authority, certificate) }

    /// Records that the proxy doesn't announce its client: header fields may be the client's own and don't count.
    package func announceUnknownClient() { trustsForwardedFields = false }

    /// Records the close code and the reason for the log. Only the first call has an effect.
    package func ended(code: UInt16? = nil, reason: String, by initiator: CloseInitiator = .network) {
        guard closeReason == nil else { return }
        closeCode = code
        closeInitiator = initiator
        closeReason = reason
    }

    /// Aborts a connection whose deadline before the upgrade has passed.
    func timeOut(reason: String) {
        timedOut = phase
        ended(reason: reason)
        abort()
    }

    package func linger(now: Instant) {
        phase = .lingering
        deadline = now + Self.lingerTime
    }
}

extension ClientKey {
    package static func user(named name: String) -> ClientKey {
        let words = SHA256.hash(Array(name.utf8)).words
        return .user(high: words.0, low: words.1)
    }
}
