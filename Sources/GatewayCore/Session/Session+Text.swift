// SPDX-License-Identifier: Apache-2.0

extension Session {
    mutating func accept(_ message: ClientMessage.Text, in bytes: RawSpan, effects: inout Effects) {
        let id = message.id
        guard isNew(id, kind: .text, effects: &effects) else { return }
        guard access.allowsText else { return reject(.typeForbidden, id: id, effects: &effects) }
        if let wait = self.wait(.text, effects: effects) {
            return rejectRate(.textRate, id: id, wait: wait, effects: &effects)
        }
        guard canCommit(id, effects: &effects), hasRoomUpstream(for: message.text.count, id: id, effects: &effects),
            hasMemory(for: message.text.count, id: id, effects: &effects)
        else { return }
        guard admitByQuota(.text, id: id, effects: &effects) else { return }
        _ = admit(.text, effects: effects)

        let text = message.text.bytes(in: bytes)
        let key = inFlight.nextKey()
        text.withRawSpan { history.append($0, .init(.client, at: effects.wall, request: key)) }
        inFlight.queue(text.count)
        effects.reply(AckMessage(id), awaitsCommit: true, of: key)
        counts.messagesOut &+= 1
        let request = UpstreamRequest(
            key: key, id: id, input: .text(text), lang: message.lang?.bytes(in: bytes), stream: message.stream,
            output: Self.output(message.output, in: bytes), meta: Self.meta(message.meta, in: bytes), path: path,
            access: access.request, origin: origin)
        begin(consume request, kind: .text, effects: &effects)
    }

    /// Returns whether an id is new. Acknowledges a repeated message, and rejects an id that belongs to another kind of message.
    mutating func isNew(_ id: MessageID, kind: RecentIDs.Kind, effects: inout Effects) -> Bool {
        guard let known = recentIDs.kind(of: id) else { return true }
        if known == kind {
            let stream = audioInput.stream.flatMap { $0.id == id ? $0 : nil }
            let message = AckMessage(id, isDuplicate: true, chunks: stream?.accepted)
            effects.reply(message, awaitsCommit: true, of: inFlight.pendingCommits.first { $0.id == id }?.key)
            counts.messagesOut &+= 1
        } else {
            reject(.idOfAnotherType, param: "/id", id: id, effects: &effects)
        }
        if kind == .audio { audioInput.ignoreOpening(id) }
        return false
    }

    static func output(_ output: ClientMessage.Output?, in bytes: RawSpan) -> UpstreamRequest.Output {
        var result = UpstreamRequest.Output()
        guard let output else { return result }
        result.text = output.text
        result.audio = output.audio
        result.format = output.format
        result.voice = output.voice?.bytes(in: bytes)
        return result
    }

    static func meta(_ entries: [ClientMessage.MetaEntry], in bytes: RawSpan) -> [UpstreamRequest.Meta] {
        var result: [UpstreamRequest.Meta] = []
        guard !entries.isEmpty else { return result }
        result.reserveCapacity(entries.count)
        for entry in entries { result.append(.init(key: entry.key.bytes(in: bytes), value: entry.value.bytes(in: bytes))) }
        return result
    }
}
