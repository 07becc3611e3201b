// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// An accepted socket, from accept to close: its counters and close reason for the log, and its next deadline.
///
/// Belongs to one event loop. Before the upgrade the connection is aborted at its deadline; afterwards its ``ConnectionSocket`` is ticked.
package final class Connection {
    package enum Phase: Sendable {
        case handshake, head, webSocket
        /// The last bytes were sent and the sending side is closed. Inbound bytes are discarded until the peer closes.
        case lingering
    }

    package let id: ULID
    /// The client's address and port as text, for the log.
    package let address: String
    package let client: ClientAddress
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
    /// The path of the request.
    package var path = ""
    package var bytesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    package var messagesIn: UInt64 = 0
    package var messagesOut: UInt64 = 0
    /// The close code for the log; set with ``closeReason``.
    package private(set) var closeCode: UInt16?
    /// The reason of the close for the log: the first one that was set.
    package private(set) var closeReason: String?
    /// The position in ``ConnectionTable``.
    var index = 0

    /// The time for the peer to read the last bytes and close.
    package static let lingerTime = Instant.Duration.seconds(1)

    package init(id: ULID, address: String, client: ClientAddress, acceptedAt: Instant, deadline: Instant, abort: @escaping () -> Void) {
        self.id = id
        self.address = address
        self.client = client
        self.acceptedAt = acceptedAt
        self.deadline = deadline
        self.abort = abort
    }

    /// Records the close code and the reason for the log. Only the first call has an effect.
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
