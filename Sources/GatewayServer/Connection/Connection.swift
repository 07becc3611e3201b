package import GatewayCore

/// One accepted socket, from accept to close: what its log line will say, and when it has to be looked at.
///
/// Lives on one event loop. Before the upgrade its deadline ends it; afterwards its ``ConnectionSocket`` decides.
package final class Connection {
    package enum Phase: Sendable {
        case handshake, head, webSocket
        /// The last words were sent and the sending side is closed; what comes is thrown away until the peer closes.
        case lingering
    }

    package let id: ULID
    /// As text, for the log.
    package let address: String
    package let client: ClientAddress
    package let acceptedAt: Instant
    package var phase = Phase.handshake
    /// The time at which ``ConnectionTable`` acts: closes a connection that isn't upgraded yet or lingers, and ticks one that is.
    package var deadline: Instant
    package var socket: (any ConnectionSocket)?
    /// Closes the socket at once.
    package let abort: () -> Void

    /// Whether it counts as a WebSocket in ``ConnectionLimits``.
    package var countsAsWebSocket = false
    package var isUpgraded = false
    package var sessionID: ULID?
    /// What was asked for.
    package var path = ""
    package var bytesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    package var messagesIn: UInt64 = 0
    package var messagesOut: UInt64 = 0
    /// How it ended, for its log line: the first reason given stays.
    package private(set) var closeCode: UInt16?
    package private(set) var closeReason: String?
    /// The position in ``ConnectionTable``.
    var index = 0

    /// How long the peer may take to read the last words and close.
    package static let lingerTime = Instant.Duration.seconds(1)

    package init(id: ULID, address: String, client: ClientAddress, acceptedAt: Instant, deadline: Instant, abort: @escaping () -> Void) {
        self.id = id
        self.address = address
        self.client = client
        self.acceptedAt = acceptedAt
        self.deadline = deadline
        self.abort = abort
    }

    package func ended(code: UInt16? = nil, reason: String) {
        guard closeReason == nil else { return }
        closeCode = code
        closeReason = reason
    }

    package func linger(now: Instant) {
        phase = .lingering
        deadline = now + Self.lingerTime
    }
}
