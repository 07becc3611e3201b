// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// Rejects a message: sends the error and counts it. Too many violations or rejections close the connection.
    mutating func reject(
        _ reason: ErrorReason, message: String? = nil, param: String? = nil, id: MessageID? = nil, chunk: UInt64? = nil,
        retryAfter: Int64? = nil, details: String? = nil, effects: inout Effects
    ) {
        let error = GatewayError(
            reason, source: reason.code == .overloaded ? .upstream : .client, message: message, param: param, replyTo: id, chunk: chunk,
            retryAfter: retryAfter, details: details,
            correlationID: effects.correlationID())
        report(error, effects: &effects)
        if let rule = RateRule(reason) { effects.metrics.rateLimited.add(rule) }
        if reason.code.isViolation, admit(.violation, effects: effects) != nil {
            end(.tooManyViolations, close: .tooManyViolations, effects: &effects)
        }
        if reason.code.isRejection { countRejection(effects: &effects) }
    }

    mutating func countRejection(effects: inout Effects) {
        guard admit(.rejection, effects: effects) != nil else { return }
        end(.tooManyRejections, close: .tooManyViolations, effects: &effects)
    }

    mutating func reject(_ fault: MessageFault, effects: inout Effects) {
        reject(
            fault.reason, param: fault.param, id: fault.replyTo,
            details: fault.offset.map { "at byte \($0)" }, effects: &effects)
        // An invalid opening is a rejected opening, too: the frames after it don't belong to another stream.
        if fault.isAudio, fault.replyTo == nil || audioInput.stream?.id != fault.replyTo { audioInput.ignoreOpening(fault.replyTo) }
    }

    /// Rejects a message that exceeds a limit. The rejection isn't a violation, but counts toward `limits.refusals_per_minute`.
    ///
    /// - Parameter wait: the time until the same message would be admitted
    mutating func rejectRate(
        _ reason: ErrorReason, id: MessageID? = nil, chunk: UInt64? = nil, wait: LimitWait,
        effects: inout Effects
    ) {
        // Rounded up: a message sent a fraction of a millisecond too early would be rejected again.
        let milliseconds = (wait.duration + .nanoseconds(999_999)).milliseconds
        let scope = wait.isPerClient ? " (limit per address: `limits.per_address_factor`)" : ""
        reject(
            reason, message: reason.message("\(Self.seconds(milliseconds)) s\(scope)"), id: id, chunk: chunk, retryAfter: milliseconds,
            effects: &effects)
    }

    /// Formats milliseconds as exact seconds: `1`, `0.25`.
    private static func seconds(_ milliseconds: Int64) -> String {
        let (whole, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        guard rest > 0 else { return "\(whole)" }
        var digits = "\(1000 + rest)".dropFirst()
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(whole).\(digits)"
    }

    /// Rejects a parsed message of any type because it exceeds a limit.
    mutating func rejectRate(_ rejected: ClientMessage, _ reason: ErrorReason, wait: LimitWait, effects: inout Effects) {
        let id: MessageID? =
            switch rejected {
            case .text(let text): text.id
            case .audioOpen(let open): open.id
            case .audioEnd(let id), .audioFrom(let id, _), .cancel(let id, _, _): id
            case .ping(let id, _): id
            case .status(let status): status.id
            case .ack, .auth, .bye: nil
            }
        rejectRate(reason, id: id, wait: wait, effects: &effects)
        if case .audioOpen(let open) = rejected { audioInput.ignoreOpening(open.id) }
    }

    /// Sends a fatal error and closes the connection. Some close codes end the session, too.
    package mutating func end(
        _ reason: ErrorReason, source: GatewayError.Source = .client, close: CloseCode, effects: inout Effects
    ) {
        guard effects.closing == nil else { return }
        let error = GatewayError(reason, source: source, close: close, correlationID: effects.correlationID())
        report(error, effects: &effects)
        if let rule = RateRule(reason) { effects.metrics.rateLimited.add(rule) }
        effects.closing = Closing(error)
        ending = ending ?? SessionEnding(close)
    }

    mutating func report(_ error: GatewayError, effects: inout Effects) {
        effects.reply(ErrorMessage(error, showsDetails: effects.showsDetails))
        effects.incidents.append(error)
        note(.failed(error.code), of: error.correlationID, wall: effects.wall)
        addFailure(error, wall: effects.wall)
        counts.errors &+= 1
        counts.messagesOut &+= 1
    }
}
