// SPDX-License-Identifier: Apache-2.0

/// The failures of connections as codes.
extension SessionMachine.Failure: Error {
    init(_ closing: ClientClosing) {
        self.init(
            code: closing.isProtocolFault ? "protocol_error" : String(closing.code),
            message: closing.failure ?? closing.reason)
    }

    init(_ error: ClientWebSocketError) {
        switch error {
        case .cannotConnect, .lost: self.init(code: "connect_failed", message: "\(error)")
        case .tls(let reason):
            self.init(code: reason.contains("certificate verify failed") ? "tls_failed" : "connect_failed", message: reason)
        case .handshake: self.init(code: "protocol_error", message: "\(error)")
        case .timedOut: self.init(code: "connect_timeout", message: "\(error)")
        case .closed(let closing): self.init(closing)
        case .rejected(let rejection):
            self.init(
                code: rejection.problem.code ?? String(rejection.status), message: "\(error)", retryAfter: rejection.retryAfter,
                correlationID: rejection.problem.correlationID, status: rejection.status)
        }
    }
}
