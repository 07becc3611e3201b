extension Session {
    /// Tells the client what is wrong with its message, counts it, and ends the connection when there was too much of it.
    mutating func refuse(
        _ code: ErrorCode, _ message: String, param: String? = nil, id: MessageID? = nil, chunk: UInt64? = nil,
        retryAfter: Int64? = nil, details: String? = nil, turn: inout Turn
    ) {
        let error = GatewayError(
            code, source: code == .overloaded ? .upstream : .client, message, param: param, replyTo: id, chunk: chunk,
            retryAfter: retryAfter, details: details,
            correlationID: turn.correlationID())
        report(error, turn: &turn)
        if code.isViolation, admit(.violation, turn: turn) != nil {
            end(.tooManyViolations, "too many malformed messages", close: .tooManyViolations, turn: &turn)
        }
        if code.isRefusal { countRefusal(turn: &turn) }
    }

    mutating func countRefusal(turn: inout Turn) {
        guard admit(.refusal, turn: turn) != nil else { return }
        end(.tooManyViolations, "too many messages over the limits", close: .tooManyViolations, turn: &turn)
    }

    mutating func refuse(_ fault: MessageFault, turn: inout Turn) {
        refuse(
            fault.code, String(describing: fault.message), param: fault.param, id: fault.replyTo,
            details: fault.offset.map { "at byte \($0)" }, turn: &turn)
        // An opening that can't be accepted is refused all the same: what follows it isn't meant for another stream.
        if fault.isAudio, fault.replyTo == nil || intake.stream?.id != fault.replyTo { intake.ignoreOpening(fault.replyTo) }
    }

    /// Refuses what a limit doesn't let pass. No violation, but counted toward `limits.refusals_per_minute`.
    ///
    /// - Parameter wait: until the same message would pass
    mutating func refuseRate(
        _ message: String, code: ErrorCode = .rateLimited, id: MessageID? = nil, chunk: UInt64? = nil, wait: LimitWait, turn: inout Turn
    ) {
        // Rounded up: advice that is a fraction too short would be refused again.
        let milliseconds = (wait.nanoseconds &+ 999_999) / 1_000_000
        let whose = wait.isClients ? " one address (`limits.per_address_factor`)" : ""
        refuse(
            code, "\(message)\(whose); wait \(Self.seconds(milliseconds)) s", id: id, chunk: chunk, retryAfter: milliseconds, turn: &turn)
    }

    /// Milliseconds as seconds, exactly: `1`, `0.25`.
    private static func seconds(_ milliseconds: Int64) -> String {
        let (whole, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        guard rest > 0 else { return "\(whole)" }
        var digits = "\(1000 + rest)".dropFirst()
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(whole).\(digits)"
    }

    /// Refuses a whole message of whatever type.
    mutating func refuseRate(_ refused: ClientMessage, _ message: String, wait: LimitWait, turn: inout Turn) {
        let id: MessageID? =
            switch refused {
            case .text(let text): text.id
            case .audioOpen(let open): open.id
            case .audioEnd(let id), .audioFrom(let id, _), .cancel(let id, _, _): id
            case .ping(let id, _): id
            case .status(let status): status.id
            case .ack, .auth, .bye: nil
            }
        refuseRate(message, id: id, wait: wait, turn: &turn)
        if case .audioOpen(let open) = refused { intake.ignoreOpening(open.id) }
    }

    /// A fatal error: told, then the connection is closed. The session is over with it where its close code says so.
    package mutating func end(
        _ code: ErrorCode, source: GatewayError.Source = .client, _ message: String, close: CloseCode, turn: inout Turn
    ) {
        guard turn.closing == nil else { return }
        let error = GatewayError(code, source: source, message, close: close, correlationID: turn.correlationID())
        report(error, turn: &turn)
        turn.closing = Closing(error)
        ending = ending ?? SessionEnding(close)
    }

    mutating func report(_ error: GatewayError, turn: inout Turn) {
        turn.reply(ErrorMessage(error, showsDetails: turn.showsDetails))
        turn.incidents.append(error)
        note(.failed(error.code), of: error.correlationID, wall: turn.wall)
        counts.errors &+= 1
        counts.messagesOut &+= 1
    }
}
