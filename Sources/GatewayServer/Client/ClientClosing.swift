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

    package init(code: UInt16, reason: String = "", failure: String? = nil) {
        self.code = code
        self.reason = reason
        self.failure = failure
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
