extension Session {
    /// The first message on a connection.
    ///
    /// - Parameters:
    ///   - token: the resume token, base64url
    ///   - resumeError: why a credential that was presented opened a new session instead
    package mutating func open(token: [UInt8], resumeError: StaticString?, turn: inout Turn) {
        counts.messagesOut &+= 1
        turn.reply(mayCompress: false) { bytes in
            bytes.append("{\"type\":\"session\",\"session_id\":")
            bytes.append(quoted: id)
            bytes.append(",\"resume_token\":")
            bytes.append(jsonString: token)
            bytes.append(",\"resumed\":false,\"lost\":")
            bytes.append(resumeError != nil)
            if let resumeError {
                bytes.append(",\"resume_error\":\"")
                bytes.append(resumeError)
                bytes.append(UInt8(ascii: "\""))
            }
            bytes.append(",\"last_seq\":")
            bytes.append(decimal: outbox.lastSequence)
            bytes.append(",\"expires_at\":")
            if expiresAt == .max { bytes.append("null") } else { bytes.append(decimal: expiresAt) }
            bytes.append(",\"heartbeat_ms\":")
            bytes.append(decimal: policy.heartbeatMilliseconds)
            bytes.append(",\"limits\":{")
            for (index, limit) in policy.namedLimits.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes.append(jsonString: limit.name)
                bytes.append(UInt8(ascii: ":"))
                bytes.append(jsonNumber: limit.value)
            }
            bytes.append("},\"protocol\":\"parley.v1\"}")
        }
    }
}
