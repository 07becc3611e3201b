// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// Assigns the session to the client of its connection. The session's resources count against that client from now on.
    ///
    /// - Parameter limiters: the client's limiters; nil limits only the session itself
    package mutating func assign(to client: ClientKey, limiters: ClientLimiters?) {
        admission.clientLimiters = limiters
        guard self.client != client else { return }
        self.client = client
        changes &+= 1
    }

    // Inlined, like the two methods that follow: the compiler would pass copies of the session and the effects (2.6 KB) to them.
    @inline(__always)
    mutating func admit(_ limit: Limit, _ units: Int64 = 1, effects: borrowing Effects) -> LimitWait? {
        admission.admit(limit, units, now: effects.now, sharedNow: effects.sharedNow)
    }

    @inline(__always)
    mutating func wait(_ limit: Limit, for units: Int64 = 1, effects: borrowing Effects) -> LimitWait? {
        admission.wait(limit, for: units, now: effects.now, sharedNow: effects.sharedNow)
    }

    /// Whether a limit admits nothing at the moment.
    package mutating func isLimited(by limit: Limit, now: Instant, sharedNow: Instant) -> Bool {
        admission.wait(limit, now: now, sharedNow: sharedNow) != nil
    }

    func remaining(_ limit: Limit, effects: borrowing Effects) -> Int64 {
        admission.remaining(limit, now: effects.now, sharedNow: effects.sharedNow)
    }

    /// Charges `limits.bytes_per_second` for a WebSocket ping or pong, and returns whether the frame is within the limit.
    ///
    /// No other limit applies to control frames, so each is charged at least ``controlFrameBytes`` for the work that it causes.
    /// A frame over the limit counts as a rejection, but no error is sent: WebSocket libraries send these frames without the application's
    /// knowledge.
    package mutating func admitsControlFrame(of byteCount: Int, effects: inout Effects) -> Bool {
        let cost = max(Int64(byteCount), Self.controlFrameBytes)
        guard admit(.byte, cost, effects: effects) != nil else { return true }
        effects.metrics.rateLimited.add(.byte)
        countRejection(effects: &effects)
        return false
    }

    /// The minimum charge for a control frame.
    static let controlFrameBytes: Int64 = 64

    /// Whether `limits.bytes_per_second` admits no further byte.
    package mutating func isOverBytes(effects: borrowing Effects) -> Bool { wait(.byte, effects: effects) != nil }

    /// Charges `limits.bytes_per_second` for the bytes by which a message was larger compressed than inflated.
    package mutating func chargeOverhead(of byteCount: Int, effects: inout Effects) {
        if admit(.byte, Int64(byteCount), effects: effects) != nil { countRejection(effects: &effects) }
    }

    /// Rejects a compressed message that wasn't inflated, because ``isOverBytes(effects:)`` was true or, for a binary message,
    /// ``acceptsBinary`` false. The id of the message is unknown.
    package mutating func rejectSkipped(isBinary: Bool, effects: inout Effects) {
        effects.metrics.inbound.add(isBinary ? .audioChunk : .invalid)
        if isBinary { return rejectSkippedBinary(effects: &effects) }
        counts.messagesIn &+= 1
        rejectSkipped(effects: &effects)
    }

    mutating func rejectSkipped(id: MessageID? = nil, chunk: UInt64? = nil, effects: inout Effects) {
        let wait = self.wait(.byte, for: Self.controlFrameBytes, effects: effects) ?? LimitWait(nanoseconds: 0)
        rejectRate(.byteRate, id: id, chunk: chunk, wait: wait, effects: &effects)
    }
}
