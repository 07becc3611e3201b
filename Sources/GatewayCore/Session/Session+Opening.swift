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
    package mutating func open(_ beginning: Beginning, token: [UInt8], effects: inout Effects) {
        var isResumed = false
        var isLost = false
        var resumeError: ResumeError?
        switch beginning {
        case .new: break
        case .newInstead(let error): (isLost, resumeError) = (true, error)
        case .resumed(let lost): (isResumed, isLost) = (true, lost)
        }
        let openAudio = intake.stream.map { SessionMessage.OpenAudio($0.id, chunks: $0.accepted) }
        counts.messagesOut &+= 1
        let message = SessionMessage(
            id, resumeToken: token, isResumed: isResumed, isLost: isLost, resumeError: resumeError, lastSequence: outbox.lastSequence,
            expiresAt: expiresAt == .max ? nil : expiresAt, heartbeatMilliseconds: policy.heartbeatMilliseconds, limits: policy.namedLimits,
            openAudio: openAudio)
        effects.reply(message, mayCompress: false, isPromise: true)
    }
}
