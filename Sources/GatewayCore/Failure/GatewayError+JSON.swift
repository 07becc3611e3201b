extension GatewayError {
    /// Appends the `error` object of the protocol's section "Errors", the value of `"error":`.
    ///
    /// - Parameter showsDetails: development only; elsewhere internals stay inside.
    package func append(to bytes: inout [UInt8], showsDetails: Bool) {
        bytes.append("{\"code\":")
        bytes.append(jsonString: code.rawValue)
        bytes.append(",\"message\":")
        bytes.append(jsonString: message)
        bytes.append(",\"param\":")
        if let param { bytes.append(jsonString: param) } else { bytes.append("null") }
        if let replyTo {
            bytes.append(",\"reply_to\":")
            bytes.append(quoted: replyTo)
        }
        if let chunk {
            bytes.append(",\"chunk\":")
            bytes.append(decimal: chunk)
        }
        bytes.append(",\"correlation_id\":")
        bytes.append(quoted: correlationID)
        bytes.append(",\"retryable\":")
        bytes.append(isRetryable)
        if let retryAfter {
            bytes.append(",\"retry_after_ms\":")
            bytes.append(decimal: retryAfter)
        }
        bytes.append(",\"fatal\":")
        bytes.append(close != nil)
        if showsDetails, let details {
            bytes.append(",\"details\":")
            bytes.append(jsonString: details)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// Appends the whole `error` message, not sequenced.
    package func appendMessage(to bytes: inout [UInt8], showsDetails: Bool) {
        bytes.append("{\"type\":\"error\"")
        appendFields(to: &bytes, showsDetails: showsDetails)
        bytes.append(UInt8(ascii: "}"))
    }

    /// Appends the fields of an `error` message behind its `type` and `seq`: `reply_to` at the top, as in every message, and `error`.
    func appendFields(to bytes: inout [UInt8], showsDetails: Bool) {
        if let replyTo {
            bytes.append(",\"reply_to\":")
            bytes.append(quoted: replyTo)
        }
        bytes.append(",\"error\":")
        append(to: &bytes, showsDetails: showsDetails)
    }
}
