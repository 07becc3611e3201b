package import GatewayCore

/// A request of the client's and what came of it so far, with the times that tell how quick the gateway is.
package struct Exchange: Sendable {
    package enum Kind: Sendable { case text, audio }

    package let id: String
    package let kind: Kind
    /// When the request was sent; of audio, its end. Everything is measured from there.
    package private(set) var sentAt: Instant
    package private(set) var acknowledgedAt: Instant?
    package private(set) var firstAt: Instant?
    package private(set) var doneAt: Instant?
    /// What the gateway refused it with, or broke it off with.
    package private(set) var failure: ServerMessage.Failure?
    package private(set) var wasCancelled = false
    private var wasRepeated = false

    package init(id: String, kind: Kind, sentAt: Instant) {
        self.id = id
        self.kind = kind
        self.sentAt = sentAt
    }

    package var isOver: Bool { doneAt != nil }

    /// The end of the audio has gone out: latency counts from here.
    package mutating func ended(now: Instant) {
        sentAt = now
    }

    /// The request was sent once more, on another connection, because no `ack` had come.
    package mutating func repeated() { wasRepeated = true }

    /// Takes note of a message about this request.
    package mutating func take(_ message: ServerMessage, now: Instant) {
        switch message.type {
        case "ack":
            if acknowledgedAt == nil || kind == .audio, firstAt == nil { acknowledgedAt = now }
            // The id was used before, on this session: its answer went to that request, unless that was this one on a lost connection.
            if message.isDuplicate == true, !wasRepeated { doneAt = now }
        case "error":
            failure = message.error
            doneAt = now
        case "status":
            if message.state == "cancelled" { wasCancelled = true }
        case "text", "transcript", "audio":
            if firstAt == nil { firstAt = now }
        default: break
        }
        if message.isDone == true { doneAt = now }
    }

    /// `ack 1.2 ms, first 1.9 ms, done 2.3 ms`, what there is of it.
    package var timing: String {
        [("ack", acknowledgedAt), ("first", firstAt), ("done", doneAt)].compactMap { name, instant in
            // An acknowledgement of audio, or a piece of its answer, can come before its end: there is no latency to tell then.
            guard let instant, instant >= sentAt else { return nil }
            return "\(name) \(ClientText.milliseconds(instant.nanoseconds(since: sentAt)))"
        }.joined(separator: ", ")
    }
}
