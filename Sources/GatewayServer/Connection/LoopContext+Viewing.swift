import GatewayCore

/// What operators see of the sessions of one event loop, and do with them.
extension LoopContext {
    /// The first sessions behind `cursor`, in the order of their ids.
    func summaries(after cursor: ULID?, limit: Int, state: SessionSummary.State?) -> [SessionSummary] {
        var ids: [ULID] = []
        for (id, driver) in sessions {
            guard cursor.map({ $0 < id }) ?? true else { continue }
            guard state.map({ ($0 == .attached) == driver.isAttached }) ?? true else { continue }
            ids.append(id)
        }
        ids.sort()
        return ids.prefix(limit).compactMap { sessions[$0]?.summary }
    }

    /// Ends a session on behalf of an operator. False when it isn't here.
    func close(_ id: ULID) -> Bool {
        guard let driver = sessions[id] else { return false }
        driver.endByOperator()
        return true
    }
}

extension SessionDriver {
    var summary: SessionSummary {
        SessionSummary(
            sessionID: "\(session.id)", state: isAttached ? .attached : .detached, connectedAt: session.connectedAt,
            expiresAt: session.expiresAt == .max ? nil : session.expiresAt, messagesIn: session.counts.messagesIn,
            messagesOut: session.counts.messagesOut, errors: session.counts.errors,
            audioSeconds: Double(session.counts.audioNanoseconds / 1_000_000) / 1000, inFlight: session.inFlight.count,
            memoryBytes: memoryBytes)
    }

    func details(withTranscript: Bool) -> SessionDetails {
        let link = connection.map { connection in
            SessionDetails.Connection(
                connectionID: "\(connection.id)", address: connection.address, bytesIn: connection.bytesIn, bytesOut: connection.bytesOut,
                roundTripMilliseconds: session.roundTripNanoseconds.map { Double($0 / 1000) / 1000 })
        }
        let outbox = SessionDetails.Outbox(
            messages: session.outbox.count, waitingBytes: session.outbox.waitingBytes, lastSequence: session.outbox.lastSequence)
        return SessionDetails(session: summary, connection: link, outbox: outbox, transcript: withTranscript ? transcript : nil)
    }

    private var transcript: [SessionDetails.Line] {
        (0..<session.history.count).map { index in
            session.history.withText(at: index) { span, tag in
                var bytes: [UInt8] = []
                bytes.append(bytesOf: span)
                return SessionDetails.Line(
                    at: tag.at, by: tag.speaker == .client ? "client" : "upstream", text: String(decoding: bytes, as: UTF8.self))
            }
        }
    }
}
