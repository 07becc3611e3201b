// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import ParleyClient

/// A request of the client and the state of its response, with the times from which its latencies are computed.
package struct Exchange: Sendable {
    package enum Kind: Sendable { case text, audio }

    package let id: String
    package let kind: Kind
    /// The time at which the request, or the end of its audio, was sent. All latencies are relative to it.
    package private(set) var sentAt: Instant
    package private(set) var acknowledgedAt: Instant?
    package private(set) var firstAt: Instant?
    package private(set) var doneAt: Instant?
    /// The error with which the gateway rejected or ended the request.
    package private(set) var failure: ServerMessage.Failure?
    package private(set) var wasCancelled = false
    private var wasResent = false

    package init(id: String, kind: Kind, sentAt: Instant) {
        self.id = id
        self.kind = kind
        self.sentAt = sentAt
    }

    package var isComplete: Bool { doneAt != nil }

    /// Records that the end of the audio was sent; latencies are measured from here.
    package mutating func ended(now: Instant) {
        sentAt = now
    }

    /// Records that the request was sent again on another connection, because its `ack` was missing.
    package mutating func resent() { wasResent = true }

    /// Records a message that belongs to this request.
    package mutating func record(_ message: ServerMessage, now: Instant) {
        switch message.type {
        case "ack":
            if acknowledgedAt == nil || kind == .audio, firstAt == nil { acknowledgedAt = now }
            // An earlier request of this session had the same id, and gets the response. If this request was sent again, the earlier
            // one is the same request on the lost connection, and its response is still to come.
            if message.isDuplicate == true, !wasResent { doneAt = now }
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

    /// The known latencies: `ack 1.2 ms, first 1.9 ms, done 2.3 ms`.
    package var timing: String {
        [("ack", acknowledgedAt), ("first", firstAt), ("done", doneAt)].compactMap { name, instant in
            // An `ack` or a response event can arrive before the end of the audio was sent, and then has no latency.
            guard let instant, instant >= sentAt else { return nil }
            return "\(name) \(ClientText.milliseconds(instant.nanoseconds(since: sentAt)))"
        }.joined(separator: ", ")
    }
}
