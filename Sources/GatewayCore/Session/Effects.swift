// SPDX-License-Identifier: Apache-2.0

/// The effects of handling inputs of a session: replies, commands to the upstream, errors to log, a close. The value also carries the time.
///
/// Each event loop owns one value and reuses it, so that effects don't allocate once its buffers have grown. Sequenced messages aren't part
/// of it: they wait in the session's outbox.
package struct Effects: ~Copyable, Sendable {
    /// A message that isn't sequenced, as a range of ``replyBytes``.
    package struct Reply: Sendable {
        package var start: Int
        package var count: Int
        /// False for `session` and `auth`, which contain secrets next to bytes that the client chooses.
        package var mayCompress: Bool
        /// Whether the reply depends on changes that aren't durable yet, and must not be sent before their commit.
        package var awaitsCommit: Bool
        /// The request that the reply acknowledges.
        package var request: RequestKey?
    }

    package var now = Instant(nanoseconds: 0)
    /// The same moment on the clock that all event loops share. Unlike ``now``, it advances while the process is suspended.
    package var sharedNow = Instant(nanoseconds: 0)
    /// Unix milliseconds.
    package var wall: Int64 = 0
    package var ids: ULIDSource
    package let showsDetails: Bool

    /// Bytes of all replies, concatenated.
    package private(set) var replyBytes: [UInt8] = []
    package private(set) var replies: [Reply] = []
    /// Commands to the upstream, in order.
    package var commands: [UpstreamCommand] = []
    /// Bytes of the audio chunks in ``commands``, concatenated. The buffer is reused: copy bytes that are needed later.
    package private(set) var audio: [UInt8] = []
    /// Errors sent to the client, for the log.
    package var incidents: [GatewayError] = []
    /// The token of an `auth` message, which the event loop verifies; nil if there is none.
    package var renewal: [UInt8]?
    /// Closes the connection after the replies are sent; nil keeps it open.
    package var closing: Closing?
    /// Changes to store, of this and earlier inputs; nil when sessions aren't stored. The event loop commits them.
    package var batch: StoreBatch?
    /// The state of the upstreams.
    package var upstream = UpstreamState.ready
    /// Whether new requests and audio are rejected because the store can't commit at the moment.
    package var rejectsWork = false
    /// Bytes left of `sessions.total_memory_budget`. At 0, new requests and audio are rejected.
    package var memoryLeft = Int.max
    /// The counters of the event loop. Never cleared.
    package var metrics = LoopMetrics()
    /// The buffer in which sequenced messages are serialized.
    package var scratch: [UInt8] = []

    package init(ids: ULIDSource, showsDetails: Bool) {
        self.ids = ids
        self.showsDetails = showsDetails
    }

    /// Appends a message that isn't sequenced.
    @inline(__always)
    package mutating func reply(
        _ message: borrowing some OutgoingMessage & ~Copyable, mayCompress: Bool = true, awaitsCommit: Bool = false,
        of request: RequestKey? = nil
    ) {
        reply(mayCompress: mayCompress, awaitsCommit: awaitsCommit, of: request) { $0.append(message) }
    }

    @inline(__always)
    package mutating func reply(
        mayCompress: Bool = true, awaitsCommit: Bool = false, of request: RequestKey? = nil, _ write: (inout [UInt8]) -> Void
    ) {
        let start = replyBytes.count
        write(&replyBytes)
        replies.append(
            Reply(start: start, count: replyBytes.count - start, mayCompress: mayCompress, awaitsCommit: awaitsCommit, request: request))
    }

    /// Whether there are replies and all of them must wait for the commit, without a close.
    package var awaitingCommitOnly: Bool { !replies.isEmpty && replies.allSatisfy(\.awaitsCommit) && closing == nil }

    /// Moves the replies that must wait for the commit into `held`.
    ///
    /// - Parameter awaitingCommitOnly: false moves all replies
    package mutating func hold(in held: inout HeldReplies, awaitingCommitOnly: Bool) {
        let bytes = replyBytes
        replies.removeAll { reply in
            guard reply.awaitsCommit || !awaitingCommitOnly else { return false }
            held.append(bytes, reply)
            return true
        }
    }

    /// Drops the replies that depend on a commit. The others aren't compressed: the compressor's window may contain bytes that are never
    /// sent.
    package mutating func dropRepliesAwaitingCommit() {
        replies.removeAll { $0.awaitsCommit }
        for index in replies.indices { replies[index].mayCompress = false }
    }

    mutating func send(_ chunk: RawSpan, of key: RequestKey) {
        let start = audio.count
        audio.append(bytesOf: chunk)
        commands.append(.audio(key, chunk: start..<audio.count))
    }

    /// Removes the commands once they are performed.
    package mutating func clearCommands() {
        commands.removeAll(keepingCapacity: true)
        audio.removeAll(keepingCapacity: audio.capacity <= 65_536)
    }

    /// Removes the replies once they are sent.
    package mutating func clearReplies() {
        replyBytes.removeAll(keepingCapacity: replyBytes.capacity <= 65_536)
        replies.removeAll(keepingCapacity: true)
    }

    /// Removes the effects once they are performed. The buffers stay allocated.
    package mutating func clear() {
        clearReplies()
        clearCommands()
        incidents.removeAll(keepingCapacity: true)
        renewal = nil
        closing = nil
    }

    package mutating func correlationID() -> ULID { ids.ulid(at: wall) }
}

/// Replies that wait for a commit. They aren't compressed yet, because other messages may be sent before them.
package struct HeldReplies: Sendable {
    /// The ticket of the commit that the replies wait for.
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

    /// Removes and returns the replies that don't depend on the failed commit, and drops the acknowledgements of rejected requests.
    package mutating func release(rejecting requests: Set<RequestKey>) -> [Effects.Reply] {
        let released = replies.filter { !$0.awaitsCommit }
        replies.removeAll { reply in !reply.awaitsCommit || reply.request.map { requests.contains($0) } ?? false }
        return released
    }
}
