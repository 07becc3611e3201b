extension Session {
    /// The session has a connection of this client, which its resources are counted for from now on.
    ///
    /// - Parameter limiters: the client's; nil limits the session alone
    package mutating func assign(to client: ClientKey, limiters: ClientLimiters?) {
        admission.clientLimiters = limiters
        guard self.client != client else { return }
        self.client = client
        changes &+= 1
    }

    mutating func admit(_ limit: Limit, _ units: Int64 = 1, effects: borrowing Effects) -> LimitWait? {
        admission.admit(limit, units, now: effects.now, sharedNow: effects.sharedNow)
    }

    func wait(_ limit: Limit, for units: Int64 = 1, effects: borrowing Effects) -> LimitWait? {
        admission.wait(limit, for: units, now: effects.now, sharedNow: effects.sharedNow)
    }

    func remaining(_ limit: Limit, effects: borrowing Effects) -> Int64 {
        admission.remaining(limit, now: effects.now, sharedNow: effects.sharedNow)
    }

    /// Whether a ping or pong of the WebSocket is within `limits.bytes_per_second`. Neither is a message, and no other limit binds them:
    /// that they cost more than their few bytes is counted. One beyond counts as refused, without an error: a WebSocket library sends
    /// them by itself, and the program above it would be told about something that it doesn't know.
    package mutating func admitsControlFrame(of byteCount: Int, effects: inout Effects) -> Bool {
        let cost = max(Int64(byteCount), Self.controlFrameBytes)
        guard admit(.byte, cost, effects: effects) != nil else { return true }
        countRefusal(effects: &effects)
        return false
    }

    /// What a control frame counts as, at least.
    static let controlFrameBytes: Int64 = 64

    /// Whether not even a byte more is within `limits.bytes_per_second`.
    package func isOverBytes(effects: borrowing Effects) -> Bool { wait(.byte, effects: effects) != nil }

    /// A message came in more bytes than it inflated to: `limits.bytes_per_second` counts what was worked on.
    package mutating func chargeOverhead(of byteCount: Int, effects: inout Effects) {
        if admit(.byte, Int64(byteCount), effects: effects) != nil { countRefusal(effects: &effects) }
    }

    /// A compressed message came although ``isOverBytes(effects:)``, or a binary one although not ``takesBinary``: refused unread, so that its id
    /// isn't known.
    package mutating func refuseSkipped(isBinary: Bool, effects: inout Effects) {
        if isBinary { return refuseSkippedBinary(effects: &effects) }
        counts.messagesIn &+= 1
        refuseSkipped(effects: &effects)
    }

    mutating func refuseSkipped(id: MessageID? = nil, chunk: UInt64? = nil, effects: inout Effects) {
        let wait = self.wait(.byte, for: Self.controlFrameBytes, effects: effects) ?? LimitWait(nanoseconds: 0)
        refuseRate(.byteRate, id: id, chunk: chunk, wait: wait, effects: &effects)
    }
}
