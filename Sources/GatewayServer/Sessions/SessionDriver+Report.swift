// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The session report of a live session.
extension SessionDriver {
    func liveReport(_ depth: ReportDepth) -> LiveSession {
        let link = connection.map { connection in
            LiveSession.Link(
                id: connection.id, address: connection.address, bytesIn: connection.bytesIn, bytesOut: connection.bytesOut,
                roundTripNanoseconds: session.roundTripNanoseconds)
        }
        return LiveSession(
            report: session.report(depth), link: link, connectedAt: session.connectedAt,
            expiresAt: session.expiresAt == .max ? nil : session.expiresAt, inFlight: session.inFlight.count,
            memoryBytes: session.memoryUsage.total, outboxMessages: session.outbox.count, waitingBytes: session.outbox.waitingBytes,
            queueBytes: queueBytes, lastSequence: session.outbox.lastSequence, rank: SessionRank(figure: 0, id: session.id))
    }
}
