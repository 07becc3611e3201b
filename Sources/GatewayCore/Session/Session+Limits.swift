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

    mutating func admit(_ limit: Limit, _ units: Int64 = 1, turn: borrowing Turn) -> LimitWait? {
        admission.admit(limit, units, now: turn.now, sharedNow: turn.sharedNow)
    }

    func wait(_ limit: Limit, for units: Int64 = 1, turn: borrowing Turn) -> LimitWait? {
        admission.wait(limit, for: units, now: turn.now, sharedNow: turn.sharedNow)
    }

    func remaining(_ limit: Limit, turn: borrowing Turn) -> Int64 {
        admission.remaining(limit, now: turn.now, sharedNow: turn.sharedNow)
    }

    /// Whether a ping or pong of the WebSocket is within `limits.bytes_per_second`. Neither is a message, and no other limit binds them:
    /// that they cost more than their few bytes is counted. One beyond counts as refused, without an error: a WebSocket library sends
    /// them by itself, and the program above it would be told about something that it doesn't know.
    package mutating func admitsControlFrame(of byteCount: Int, turn: inout Turn) -> Bool {
        let cost = max(Int64(byteCount), Self.controlFrameBytes)
        guard admit(.byte, cost, turn: turn) != nil else { return true }
        countRefusal(turn: &turn)
        return false
    }

    /// What a control frame counts as, at least.
    static let controlFrameBytes: Int64 = 64

    /// Whether not even a byte more is within `limits.bytes_per_second`.
    package func isOverBytes(turn: borrowing Turn) -> Bool { wait(.byte, turn: turn) != nil }

    /// A message came in more bytes than it inflated to: `limits.bytes_per_second` counts what was worked on.
    package mutating func chargeOverhead(of byteCount: Int, turn: inout Turn) {
        if admit(.byte, Int64(byteCount), turn: turn) != nil { countRefusal(turn: &turn) }
    }

    /// A compressed message came although ``isOverBytes(turn:)``, or a binary one although not ``takesBinary``: refused unread, so that its id
    /// isn't known.
    package mutating func refuseSkipped(isBinary: Bool, turn: inout Turn) {
        if isBinary { return refuseSkippedBinary(turn: &turn) }
        counts.messagesIn &+= 1
        refuseSkipped(turn: &turn)
    }

    mutating func refuseSkipped(id: MessageID? = nil, chunk: UInt64? = nil, turn: inout Turn) {
        let wait = self.wait(.byte, for: Self.controlFrameBytes, turn: turn) ?? LimitWait(nanoseconds: 0)
        refuseRate(Limit.byte.excess, id: id, chunk: chunk, wait: wait, turn: &turn)
    }
}
