// SPDX-License-Identifier: Apache-2.0

/// An error; sequenced if it ends a request.
package struct ErrorMessage: OutgoingMessage {
    package static let type: StaticString = "error"
    package var error: GatewayError
    /// Whether to include internal details; development only.
    package var showsDetails: Bool
    package var end: RequestEnd

    package init(_ error: GatewayError, showsDetails: Bool, end: RequestEnd = .open) {
        self.error = error
        self.showsDetails = showsDetails
        self.end = end
    }

    package var expectedBytes: Int {
        384 &+ error.message.utf8.count &+ (error.param?.utf8.count ?? 0) &+ (error.details?.utf8.count ?? 0) &+ end.expectedBytes
    }

    /// Writes `reply_to` at the top level, as in every message, and in the error object.
    package func write(to writer: inout JSONWriter) {
        if let replyTo = error.replyTo { writer.member("reply_to", replyTo) }
        writer.member("error", error, showsDetails: showsDetails)
        writer.members(end)
    }
}

extension JSONWriter {
    /// Writes the `error` object of the protocol page's section "Errors".
    ///
    /// - Parameter showsDetails: whether to include internal details; development only
    package mutating func member(_ name: StaticString, _ error: GatewayError, showsDetails: Bool) {
        object(name) { writer in
            writer.member("code", error.code.rawValue)
            writer.member("message", error.message)
            if let param = error.param { writer.member("param", param) } else { writer.member(null: "param") }
            if let replyTo = error.replyTo { writer.member("reply_to", replyTo) }
            if let chunk = error.chunk { writer.member("chunk", chunk) }
            writer.member("correlation_id", error.correlationID)
            writer.member("retryable", error.isRetryable)
            if let retryAfter = error.retryAfter { writer.member("retry_after_ms", retryAfter) }
            writer.member("fatal", error.close != nil)
            if showsDetails, let details = error.details { writer.member("details", details) }
        }
    }
}
