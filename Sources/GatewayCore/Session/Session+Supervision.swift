// SPDX-License-Identifier: Apache-2.0

/// Commands of operators who supervise the session.
///
/// While an operator has taken the session over, accepted texts and recordings are acknowledged but not sent to the upstream. The operator
/// answers them, oldest first. On handback the unanswered texts are sent to the upstream; recordings, whose audio isn't kept, fail.
extension Session {
    /// Performs a command.
    ///
    /// - Parameter name: the name of the operator's token
    package mutating func perform(
        _ command: SupervisionCommand, by name: String, effects: inout Effects
    ) throws(SupervisionFault) -> SupervisionReport {
        var value = supervision ?? Supervision()
        var report = SupervisionReport()
        switch command {
        case .whisper(let text):
            try value.whisper(text, by: name, now: effects.now)
            supervision = value
        case .takeOver:
            try value.takeOver(by: name, now: effects.now)
            supervision = value
        case .say(let text):
            try value.answer(by: name, now: effects.now)
            supervision = value
            try say(text, report: &report, effects: &effects)
        case .handBack: try handBack(effects: &effects)
        }
        note(.supervised(command.kind), of: nil, wall: effects.wall)
        changes &+= 1
        report.answeredBy = supervision?.answeredBy
        report.openRequests = inFlight.count
        report.whispers = supervision?.whispers.count ?? 0
        if report.answeredBy != nil, policy.value.takeoverTimeout != .max { report.handsBackIn = policy.value.takeoverTimeout / 1_000_000 }
        return report
    }

    private mutating func say(_ text: [UInt8], report: inout SupervisionReport, effects: inout Effects) throws(SupervisionFault) {
        guard let request = supervision?.held.first else {
            let push = Push(id: effects.correlationID(), PushRequest(.text(text)), to: .session)
            switch self.push(push, effects: &effects) {
            case .queued(let sequence, _): (report.sequence, report.push) = (sequence, push.id)
            case .failed(let reason): throw .undeliverable(reason)
            }
            return
        }
        guard outbox.hasRoom(for: 1, bytes: text.count + Self.envelopeBytes) else { throw .undeliverable(.outboxFull) }
        report.replyTo = request.id
        // The same path as for an upstream: history, latency, usage, and the end of the request.
        let event = UpstreamEvent(request.key, .text(text, final: true), isLast: true, epilogue: UpstreamEvent.Epilogue())
        receive(event, effects: &effects)
        report.sequence = outbox.lastSequence
    }

    private mutating func handBack(effects: inout Effects) throws(SupervisionFault) {
        guard var value = supervision else { throw .notTakenOver }
        let unanswered = try value.handBack()
        supervision = value
        for request in unanswered {
            if request.isText {
                forward(request, effects: &effects)
            } else {
                let failure = UpstreamEvent.Content.failure(.recordingUnanswered, retryAfterMilliseconds: 0, isRetryable: true)
                receive(UpstreamEvent(request.key, failure, isLast: true), effects: &effects)
            }
        }
        if supervision?.isInitial == true { supervision = nil }
    }

    /// Hands the session back to the upstream when the operator has been idle for `supervision.takeover_timeout`.
    package mutating func tickSupervision(effects: inout Effects) {
        guard idleOperator(at: effects.now) != nil else { return }
        // The only fault is that the session isn't taken over.
        guard (try? handBack(effects: &effects)) != nil else { return }
        note(.supervised(.handback), of: nil, wall: effects.wall)
        changes &+= 1
    }

    /// The operator whose takeover the next tick ends, because of `supervision.takeover_timeout`; nil if there is none.
    package func idleOperator(at now: Instant) -> String? {
        guard let supervision, supervision.isIdle(at: now, timeout: policy.value.takeoverTimeout) else { return nil }
        return supervision.answeredBy
    }

    /// Whether an operator answers the session's client.
    package var isTakenOver: Bool { supervision?.isTakenOver ?? false }

    /// Sends an accepted request to the upstream, or keeps it for the operator who has taken the session over.
    mutating func forward(_ request: consuming UpstreamRequest, effects: inout Effects) {
        guard supervision != nil else { return effects.commands.append(.start(request)) }
        guard supervision?.isTakenOver == false else {
            supervision?.hold(request)
            return
        }
        if let whispers = supervision?.takeWhispers() { request.whisper = whispers }
        if supervision?.isInitial == true { supervision = nil }
        effects.commands.append(.start(request))
    }

    /// Whether a request waits for an operator, so that its audio isn't sent to the upstream.
    func isHeld(_ key: RequestKey) -> Bool { supervision?.holds(key) ?? false }

    /// Removes a request that has ended from those that wait for an operator.
    mutating func releaseHeld(_ key: RequestKey) {
        guard supervision != nil, let request = supervision?.release(key) else { return }
        if let text = request.text { inFlight.consume(text.count) }
    }
}
