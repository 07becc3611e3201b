extension Session {
    /// A whole text frame.
    package mutating func receive(text bytes: RawSpan, scanner: inout MessageScanner, turn: inout Turn) {
        counts.messagesIn &+= 1
        lastMessageAt = turn.now
        let overBytes = admit(.byte, Int64(bytes.byteCount), turn: turn)
        let message: ClientMessage
        do throws(MessageFault) {
            message = try scanner.scan(bytes)
        } catch {
            return refuse(error, turn: &turn)
        }
        if case .bye = message { return bye(turn: &turn) }
        // Read first: a refusal names the message, and what follows a refused opening is ignored.
        if let wait = overBytes {
            return refuseRate(message, Limit.byte.excess, wait: wait, turn: &turn)
        }
        if case .ack(let sequence) = message { return acknowledge(sequence) }
        if let wait = admission.admitGlobally(sharedNow: turn.sharedNow) {
            return refuseRate(message, "the gateway takes no more messages at the moment", wait: wait, turn: &turn)
        }
        switch message {
        case .ping(let id, let ts): ping(id: id, ts: ts, in: bytes, turn: &turn)
        case .text(let text): accept(text, in: bytes, turn: &turn)
        case .audioOpen(let open): accept(open, in: bytes, turn: &turn)
        case .audioEnd(let id): endAudio(id, turn: &turn)
        case .audioFrom(let id, let chunk): resumeAudio(id, from: chunk, turn: &turn)
        case .status(let status): self.status(status, turn: &turn)
        case .cancel(let id, _, let played): cancel(id, playedMilliseconds: played, turn: &turn)
        case .auth: auth(turn: &turn)
        case .bye, .ack: break
        }
    }
}
