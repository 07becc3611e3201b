/// The effects of handling inputs of a session: replies, commands to the upstream, errors to log, a close. The time comes in with it.
///
/// An event loop owns one value and reuses it, so that effects allocate nothing once it has grown. Sequenced messages aren't here: they wait
/// in the session's outbox.
package struct Effects: Sendable {
    /// A message that isn't sequenced, as a range of ``replyBytes``.
    package struct Reply: Sendable {
        package var start: Int
        package var count: Int
        /// `session` and `auth` are never compressed, for they carry secrets beside bytes of a client's choice.
        package var mayCompress: Bool
        /// It says that something is kept, or depends on it: not to be told before that is so.
        package var isPromise: Bool
        /// The request that it acknowledges.
        package var request: RequestKey?
    }

    package var now = Instant(nanoseconds: 0)
    /// The same moment on a clock that all event loops share; `now` leaves out what its own loop didn't live through.
    package var sharedNow = Instant(nanoseconds: 0)
    /// Unix milliseconds.
    package var wall: Int64 = 0
    package var ids: ULIDSource
    package let showsDetails: Bool

    /// Bytes of the messages to send, end to end.
    package private(set) var replyBytes: [UInt8] = []
    package private(set) var replies: [Reply] = []
    /// What to tell the upstream, in order.
    package var commands: [UpstreamCommand] = []
    /// Bytes of the audio chunks among them, end to end: who wants to keep them copies them.
    package private(set) var audio: [UInt8] = []
    /// Errors sent to the client, for the log.
    package var incidents: [GatewayError] = []
    /// Close the connection after the replies were sent.
    package var closing: Closing?
    /// Changes to store, of these and earlier effects; nil when sessions aren't stored. The event loop submits them.
    package var batch: StoreBatch?
    /// How the upstreams are.
    package var upstream = UpstreamState.ready
    /// The store can't take anything at the moment.
    package var refusesWork = false
    /// Bytes that are left of `sessions.total_memory_budget`. With none left no work is accepted.
    package var memoryLeft = Int.max
    /// Where sequenced messages are put together.
    package var scratch: [UInt8] = []

    package init(ids: ULIDSource, showsDetails: Bool) {
        self.ids = ids
        self.showsDetails = showsDetails
    }

    /// Appends a message that isn't sequenced.
    @inline(__always)
    package mutating func reply(
        _ message: borrowing some OutgoingMessage & ~Copyable, mayCompress: Bool = true, isPromise: Bool = false,
        of request: RequestKey? = nil
    ) {
        reply(mayCompress: mayCompress, isPromise: isPromise, of: request) { $0.append(message) }
    }

    @inline(__always)
    package mutating func reply(
        mayCompress: Bool = true, isPromise: Bool = false, of request: RequestKey? = nil, _ write: (inout [UInt8]) -> Void
    ) {
        let start = replyBytes.count
        write(&replyBytes)
        replies.append(
            Reply(start: start, count: replyBytes.count - start, mayCompress: mayCompress, isPromise: isPromise, request: request))
    }

    /// Whether there are replies, and all of them say that something is kept.
    package var promisesOnly: Bool { !replies.isEmpty && replies.allSatisfy(\.isPromise) && closing == nil }

    /// Takes out the replies that have to wait.
    ///
    /// - Parameter promisesOnly: false takes all
    package mutating func hold(in held: inout HeldReplies, promisesOnly: Bool) {
        let bytes = replyBytes
        replies.removeAll { reply in
            guard reply.isPromise || !promisesOnly else { return false }
            held.append(bytes, reply)
            return true
        }
    }

    /// Takes out replies that can't be kept. The others go uncompressed: a compressor may know bytes that are never sent.
    package mutating func dropPromises() {
        replies.removeAll { $0.isPromise }
        for index in replies.indices { replies[index].mayCompress = false }
    }

    mutating func send(_ chunk: RawSpan, of key: RequestKey) {
        let start = audio.count
        audio.append(bytesOf: chunk)
        commands.append(.audio(key, chunk: start..<audio.count))
    }

    /// The commands were performed.
    package mutating func clearCommands() {
        commands.removeAll(keepingCapacity: true)
        audio.removeAll(keepingCapacity: audio.capacity <= 65_536)
    }

    /// The replies were sent.
    package mutating func clearReplies() {
        replyBytes.removeAll(keepingCapacity: replyBytes.capacity <= 65_536)
        replies.removeAll(keepingCapacity: true)
    }

    /// Forgets what was performed; keeps the memory.
    package mutating func clear() {
        clearReplies()
        clearCommands()
        incidents.removeAll(keepingCapacity: true)
        closing = nil
    }

    package mutating func correlationID() -> ULID { ids.ulid(at: wall) }
}

/// Replies that wait until something is committed. Not yet compressed: others may go before them.
package struct HeldReplies: Sendable {
    /// Of the commit.
    package let ticket: UInt64
    package private(set) var bytes: [UInt8] = []
    package private(set) var replies: [Effects.Reply] = []

    package init(ticket: UInt64) { self.ticket = ticket }

    mutating func append(_ source: [UInt8], _ reply: Effects.Reply) {
        var moved = reply
        moved.start = bytes.count
        bytes += source[reply.start..<reply.start + reply.count]
        replies.append(moved)
    }

    /// Takes out the replies that needn't wait for the failed commit, and drops the acknowledgements of refused requests.
    package mutating func release(refusing requests: Set<RequestKey>) -> [Effects.Reply] {
        let released = replies.filter { !$0.isPromise }
        replies.removeAll { reply in !reply.isPromise || reply.request.map { requests.contains($0) } ?? false }
        return released
    }
}
