// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// Handles a complete text message.
    package mutating func receive(text bytes: RawSpan, scanner: inout MessageScanner, effects: inout Effects) {
        counts.messagesIn &+= 1
        lastMessageAt = effects.now
        let overBytes = admit(.byte, Int64(bytes.byteCount), effects: effects)
        let message: ClientMessage
        do throws(MessageFault) {
            message = try scanner.scan(bytes)
        } catch {
            effects.metrics.inbound.add(.invalid)
            return reject(error, effects: &effects)
        }
        effects.metrics.inbound.add(InboundMessageType(message))
        if case .bye = message { return bye(effects: &effects) }
        // Parsed first: a rejection contains the message's id, and frames that follow a rejected opening are ignored.
        if let wait = overBytes {
            return rejectRate(message, .byteRate, wait: wait, effects: &effects)
        }
        if case .ack(let sequence) = message { return acknowledge(sequence, now: effects.now) }
        if let wait = admission.admitGlobally(sharedNow: effects.sharedNow) {
            return rejectRate(message, .globalRate, wait: wait, effects: &effects)
        }
        switch message {
        case .ping(let id, let ts): ping(id: id, ts: ts, in: bytes, effects: &effects)
        case .text(let text): accept(text, in: bytes, effects: &effects)
        case .audioOpen(let open): accept(open, in: bytes, effects: &effects)
        case .audioEnd(let id): endAudio(id, effects: &effects)
        case .audioFrom(let id, let chunk): resumeAudio(id, from: chunk, effects: &effects)
        case .status(let status): self.status(status, effects: &effects)
        case .cancel(let id, _, let played): cancel(id, playedMilliseconds: played, effects: &effects)
        case .auth(let token): auth(token, in: bytes, effects: &effects)
        case .bye, .ack: break
        }
    }
}
