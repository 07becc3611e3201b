// SPDX-License-Identifier: Apache-2.0

/// The turns of the session, for operators.
extension Session {
    /// All turns that the session remembers: those that have ended, in the order of their ends, and those in flight.
    package var turns: [Turn] { turnLog.turns + inFlight.map(\.turn) }

    /// Adds an ended request to the log of turns, unless the session keeps no history.
    mutating func addTurn(of request: borrowing InFlightRequest) {
        guard policy.value.historyMessages > 0, policy.value.historyBytes > 0 else { return }
        let outcome = request.outcome == .open ? .completed : request.outcome
        // A cancelled request ends with the `status` message that follows.
        let sequence = outcome == .cancelled ? outbox.nextSequence : outbox.lastSequence
        turnLog.append(request.turn(outcome), started: request.startedAt, lastSequence: sequence)
    }

    /// Adds an error to the turn that it replies to, if its request is in flight.
    mutating func addFailure(_ error: GatewayError, wall: Int64) {
        guard let id = error.replyTo, let index = inFlight.lastIndex(where: { $0.id == id }) else { return }
        inFlight[index].add(Turn.Failure(at: wall, code: error.code, correlationID: error.correlationID))
    }

    /// Records the playback progress that a client reports.
    mutating func updatePlayed(_ status: ClientMessage.Status, now: Instant) {
        guard let milliseconds = status.playedMilliseconds, let id = status.replyTo else { return }
        if let index = inFlight.lastIndex(where: { $0.id == id }) {
            inFlight[index].update(played: milliseconds, now: now)
        } else {
            turnLog.update(played: milliseconds, of: id, now: now)
        }
    }
}
