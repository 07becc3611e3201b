// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// How a new connection got its session.
    package enum Beginning: Sendable {
        case new
        case newAfterFailedResume(ResumeError)
        /// `isLost`: some of the messages that the client hasn't received were dropped.
        case resumed(isLost: Bool)
    }

    /// Sends `session`, the first message on a connection.
    ///
    /// - Parameter token: the newest token of ``credentials``, base64url
    package mutating func open(_ beginning: Beginning, token: [UInt8], effects: inout Effects) {
        var isResumed = false
        var isLost = false
        var resumeError: ResumeError?
        switch beginning {
        case .new: break
        case .newAfterFailedResume(let error): (isLost, resumeError) = (true, error)
        case .resumed(let lost): (isResumed, isLost) = (true, lost)
        }
        let openAudio = audioInput.stream.map { SessionMessage.OpenAudio($0.id, chunks: $0.accepted) }
        counts.messagesOut &+= 1
        let message = SessionMessage(
            id, resumeToken: token, isResumed: isResumed, isLost: isLost, resumeError: resumeError, lastSequence: outbox.lastSequence,
            expiresAt: expiresAt == .max ? nil : expiresAt, heartbeatMilliseconds: policy.value.heartbeatMilliseconds, limits: namedLimits,
            openAudio: openAudio, durability: policy.value.durability)
        effects.reply(message, mayCompress: false, awaitsCommit: true)
        announceQuotas(effects: &effects)
    }
}
