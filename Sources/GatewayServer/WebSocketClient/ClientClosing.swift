/// How a connection ended, as the client saw it.
package struct ClientClosing: Sendable, Hashable {
    /// A close frame without a code (RFC 6455 §7.4.1).
    package static let noCode: UInt16 = 1005
    /// No close frame at all.
    package static let abnormal: UInt16 = 1006

    /// What the gateway's close frame said, 1005 when it said nothing, 1006 when there was none.
    package var code: UInt16
    /// What the gateway's close frame said; empty without one.
    package var reason: String
    /// What went wrong, where no close frame tells: for people.
    package var failure: String?
    /// Whether the client closed it because the gateway broke the rules of WebSocket.
    package var isProtocolFault = false

    package init(code: UInt16, reason: String = "", failure: String? = nil) {
        self.code = code
        self.reason = reason
        self.failure = failure
    }

    /// Whether the session may be resumed behind it: what the network, a restart or an idle proxy does. Other codes say that the gateway
    /// won't have the session again, or that the client is at fault (protocol page, section "Errors").
    package var permitsResume: Bool {
        [1001, Self.noCode, Self.abnormal, 1011, 1012, 1013, 1014, 4001, 4002, 4003].contains(code) && !isProtocolFault
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
