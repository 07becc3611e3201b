// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import NIOCore

/// A session that moves between nodes.
extension SessionDriver {
    /// Registers a session that came from another node, and continues its requests in flight: those of a claimed session start again, those
    /// of a session that was handed over continue on their node, or fail if its calls were lost.
    ///
    /// Must be called in the same input as the restoring initializer.
    func resumeRequests(over stream: NodeStream?, isHandedOver: Bool) {
        resumeRequests()
        guard isHandedOver, !session.inFlight.isEmpty else {
            stream?.close(.done)
            return
        }
        guard let stream else {
            for key in session.requestKeys {
                let failure = UpstreamEvent.Content.failure(.gatewayRestarted, retryAfterMilliseconds: 0)
                session.receive(UpstreamEvent(key, failure, isLast: true), effects: &loop.effects)
            }
            return finishInput()
        }
        continueLink(over: stream, keys: session.requestKeys)
    }

    /// Returns what the stored records of the detached session lack. Unstored messages that don't fit into one message between nodes are
    /// left out, and count as lost.
    func handoverRecord() -> [UInt8] {
        let wall = LoopClock.wallMilliseconds()
        var record: [UInt8] = []
        session.appendHandover(to: &record, now: loop.clock.now, wall: wall)
        guard record.count > NodeFrame.maximumPayload - 1024 else { return record }
        record = []
        session.appendHandover(to: &record, now: loop.clock.now, wall: wall, includesFrames: false)
        return record
    }

    /// Takes the session's link back after a departure that failed.
    func stay() { link?.move(to: self, on: loop.eventLoop) }

    /// Drops the session without a trace in the store: another node owns it, or the store has lost it.
    func drop(_ loss: SessionLoss) {
        let lost = connection
        connection = nil
        sessions.remove(self)
        loop.shared.sessions.forget(session.id)
        closeLink()
        endTaps()
        if let lost {
            // A client whose `session` message wasn't sent yet doesn't know that it was here.
            let isTakenOver = loss == .fenced && commits.isSessionMessageDurable
            lost.socket?.retire(
                isTakenOver
                    ? Closing(code: .takenOver, reason: "taken over on another node")
                    : Closing(code: .restart, reason: "the session isn't on this node any more"))
        }
        loop.log("session lost", as: .sessionLost, of: session.id, connection: lost?.id, ["reason": "\(loss)"])
    }
}
