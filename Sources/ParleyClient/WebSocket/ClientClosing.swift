// SPDX-License-Identifier: Apache-2.0

/// The close code, reason or failure with which a connection ended, as seen by the client.
package struct ClientClosing: Sendable, Hashable {
    /// The code for a close frame without a code (RFC 6455 §7.4.1).
    package static let noCode: UInt16 = 1005
    /// The code for a connection that closed without a close frame.
    package static let abnormal: UInt16 = 1006

    /// The code of the gateway's close frame; 1005 if it had none, 1006 if there was no close frame.
    package var code: UInt16
    /// The reason in the gateway's close frame; empty without one.
    package var reason: String
    /// A description of the failure; nil if the gateway sent a close frame.
    package var failure: String?
    /// Whether the client closed the connection because the gateway violated the WebSocket protocol.
    package var isProtocolFault = false

    package init(code: UInt16, reason: String = "", failure: String? = nil) {
        self.code = code
        self.reason = reason
        self.failure = failure
    }

    /// Whether a client without another token may resume the session: after network failures, restarts and idle timeouts of proxies. Other
    /// codes mean that the session has ended or that the client is at fault (``ParleyError/table``).
    package var permitsResume: Bool {
        guard !isProtocolFault, code != 1000, let entry = ParleyError.table[String(code)] else { return false }
        return entry.errorClass != .protocol && (entry.recovery == .reconnect || entry.recovery == .backoff)
    }

    package static func lost(_ failure: String) -> ClientClosing {
        ClientClosing(code: abnormal, failure: failure)
    }
}

extension ClientClosing: CustomStringConvertible {
    package var description: String {
        if let failure { return "connection lost: \(failure)" }
        return reason.isEmpty ? "closed with \(code)" : "closed with \(code): \(reason)"
    }
}
