extension Session {
    /// Rejects a message: sends the error and counts it. Too many violations or rejections close the connection.
    mutating func refuse(
        _ code: ErrorCode, _ message: String, param: String? = nil, id: MessageID? = nil, chunk: UInt64? = nil,
        retryAfter: Int64? = nil, details: String? = nil, effects: inout Effects
    ) {
        let error = GatewayError(
            code, source: code == .overloaded ? .upstream : .client, message, param: param, replyTo: id, chunk: chunk,
            retryAfter: retryAfter, details: details,
            correlationID: effects.correlationID())
        report(error, effects: &effects)
        if code.isViolation, admit(.violation, effects: effects) != nil {
            end(.tooManyViolations, "too many malformed messages", close: .tooManyViolations, effects: &effects)
        }
        if code.isRefusal { countRefusal(effects: &effects) }
    }

    mutating func countRefusal(effects: inout Effects) {
        guard admit(.refusal, effects: effects) != nil else { return }
        end(.tooManyViolations, "too many messages over the limits", close: .tooManyViolations, effects: &effects)
    }

    mutating func refuse(_ fault: MessageFault, effects: inout Effects) {
        refuse(
            fault.code, String(describing: fault.message), param: fault.param, id: fault.replyTo,
            details: fault.offset.map { "at byte \($0)" }, effects: &effects)
        // An invalid opening is a rejected opening, too: the frames after it don't belong to another stream.
        if fault.isAudio, fault.replyTo == nil || intake.stream?.id != fault.replyTo { intake.ignoreOpening(fault.replyTo) }
    }

    /// Rejects a message that exceeds a limit. It isn't a violation, but counts toward `limits.refusals_per_minute`.
    ///
    /// - Parameter wait: the time until the same message would be admitted
    mutating func refuseRate(
        _ message: String, code: ErrorCode = .rateLimited, id: MessageID? = nil, chunk: UInt64? = nil, wait: LimitWait,
        effects: inout Effects
    ) {
        // Rounded up: a message sent a fraction of a millisecond too early would be rejected again.
        let milliseconds = (wait.duration + .nanoseconds(999_999)).milliseconds
        let scope = wait.isClients ? " one address (`limits.per_address_factor`)" : ""
        refuse(
            code, "\(message)\(scope); wait \(Self.seconds(milliseconds)) s", id: id, chunk: chunk, retryAfter: milliseconds,
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

    /// Rejects a parsed message of any type.
    mutating func refuseRate(_ refused: ClientMessage, _ message: String, wait: LimitWait, effects: inout Effects) {
        let id: MessageID? =
            switch refused {
            case .text(let text): text.id
            case .audioOpen(let open): open.id
            case .audioEnd(let id), .audioFrom(let id, _), .cancel(let id, _, _): id
            case .ping(let id, _): id
            case .status(let status): status.id
            case .ack, .auth, .bye: nil
            }
        refuseRate(message, id: id, wait: wait, effects: &effects)
        if case .audioOpen(let open) = refused { intake.ignoreOpening(open.id) }
    }

    /// Sends a fatal error and closes the connection. Some close codes end the session, too.
    package mutating func end(
        _ code: ErrorCode, source: GatewayError.Source = .client, _ message: String, close: CloseCode, effects: inout Effects
    ) {
        guard effects.closing == nil else { return }
        let error = GatewayError(code, source: source, message, close: close, correlationID: effects.correlationID())
        report(error, effects: &effects)
        effects.closing = Closing(error)
        ending = ending ?? SessionEnding(close)
    }

    mutating func report(_ error: GatewayError, effects: inout Effects) {
        effects.reply(ErrorMessage(error, showsDetails: effects.showsDetails))
        effects.incidents.append(error)
        note(.failed(error.code), of: error.correlationID, wall: effects.wall)
        counts.errors &+= 1
        counts.messagesOut &+= 1
    }
}
