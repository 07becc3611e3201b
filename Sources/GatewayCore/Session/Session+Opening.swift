/// Why a resume opened a new session instead.
package enum ResumeError: String, Sendable {
    /// The session is over. Told only for a genuine token.
    case expired
    case unknown
    /// `last_seq` is none that the session has reached.
    case badLastSequence = "bad_last_seq"
}

extension Session {
    /// How a connection has come by its session.
    package enum Beginning: Sendable {
        case new
        case newInstead(ResumeError)
        /// With what was kept for the client, or with `isLost` without some of it.
        case resumed(isLost: Bool)
    }

    /// The first message on a connection.
    ///
    /// - Parameter token: the newest of ``credentials`` as the client gets it, base64url
    package mutating func open(_ beginning: Beginning, token: [UInt8], turn: inout Turn) {
        var isResumed = false
        var isLost = false
        var resumeError: ResumeError?
        switch beginning {
        case .new: break
        case .newInstead(let error): (isLost, resumeError) = (true, error)
        case .resumed(let lost): (isResumed, isLost) = (true, lost)
        }
        let stream = intake.stream
        counts.messagesOut &+= 1
        turn.reply(mayCompress: false, isPromise: true) { bytes in
            bytes.append("{\"type\":\"session\",\"session_id\":")
            bytes.append(quoted: id)
            bytes.append(",\"resume_token\":")
            bytes.append(jsonString: token)
            bytes.append(",\"resumed\":")
            bytes.append(isResumed)
            bytes.append(",\"lost\":")
            bytes.append(isLost)
            if let resumeError {
                bytes.append(",\"resume_error\":")
                bytes.append(jsonString: resumeError.rawValue)
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
            bytes.append(UInt8(ascii: "}"))
            if let stream {
                bytes.append(",\"open_audio\":{\"id\":")
                bytes.append(quoted: stream.id)
                bytes.append(",\"chunks\":")
                bytes.append(decimal: stream.accepted)
                bytes.append(UInt8(ascii: "}"))
            }
            bytes.append(",\"protocol\":\"parley.v1\"}")
        }
    }
}
