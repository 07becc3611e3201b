// SPDX-License-Identifier: Apache-2.0

extension MessageScanner {
    mutating func ping(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage {
        let id = try id(.id, in: bytes)
        guard let ts = fields[.ts] else { return .ping(id: id, ts: nil) }
        guard ts.kind == .integer || ts.kind == .fraction, ts.rawCount <= 64 else {
            throw fault(.invalidTimestamp, field: .ts, in: bytes)
        }
        return .ping(id: id, ts: NumberSlice(start: ts.start, count: ts.rawCount))
    }

    mutating func text(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage {
        let id = try requiredID(in: bytes)
        guard let text = fields[.text], text.kind == .string, text.count >= 1 else {
            throw fault(.missingText, field: .text, in: bytes)
        }
        guard text.count <= rules.maxTextBytes else {
            throw fault(.textTooLarge, field: .text, in: bytes)
        }
        let language = try language(in: bytes)
        let streams = try flag(.stream, in: bytes) ?? true
        let output = try requestedOutput(bytes)
        return .text(
            ClientMessage.Text(id: id, text: text.text, lang: language, stream: streams, output: output, meta: try metaEntries(bytes)))
    }

    mutating func status(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage {
        let id = try id(.id, in: bytes)
        var state: ClientMessage.Status.State?
        if let value = fields[.state] {
            state = shortText(value, in: bytes).flatMap { ClientMessage.Status.State($0) }
            guard state != nil else {
                throw fault(.invalidState, field: .state, in: bytes)
            }
        }
        let replyTo = try self.id(.replyTo, in: bytes)
        return .status(
            ClientMessage.Status(id: id, state: state, replyTo: replyTo, playedMilliseconds: try playedMilliseconds(in: bytes)))
    }

    mutating func cancel(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage {
        let id = try requiredID(in: bytes)
        let reason = try text(.reason, of: fields, bytes: 0...1000, .invalidCancelReason, bytes)
        return .cancel(id: id, reason: reason, playedMilliseconds: try playedMilliseconds(in: bytes))
    }

    mutating func acknowledgement(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage {
        guard let sequence = try count(.sequence, in: bytes) else {
            throw fault(.missingSequence, field: .sequence, in: bytes)
        }
        return .ack(sequence: sequence)
    }

    mutating func auth(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage {
        guard let token = try text(.token, of: fields, bytes: 1...8192, .invalidToken, bytes) else {
            throw fault(.missingToken, field: .token, in: bytes)
        }
        return .auth(token: token)
    }
}

extension ClientMessage.Status.State {
    init?(_ name: ShortText) {
        switch name {
        case "typing": self = .typing
        case "idle": self = .idle
        case "recording": self = .recording
        case "muted": self = .muted
        case "playing": self = .playing
        default: return nil
        }
    }
}
