extension History {
    /// What was said before a request: its texts, the oldest first, as far back as the bounds allow. Of an answer that broke off, what was heard.
    package func conversation(before request: RequestKey, lines limit: Int, bytes: Int) -> [ConversationLine] {
        var lines: [ConversationLine] = []
        var left = bytes
        for index in (0..<ring.count).reversed() {
            let tag = ring.tag(at: index)
            guard lines.count < limit else { break }
            // Requests are numbered in order; after a restart later ones may be known already.
            guard tag.kind != .audio, tag.request < request.number || tag.request == 0, tag.standing != .withdrawn else { continue }
            let count = tag.heard.map { min(Int($0), ring.recordCount(at: index)) } ?? ring.recordCount(at: index)
            guard count > 0 else { continue }
            guard count <= left else { break }
            left -= count
            var text: [UInt8] = []
            ring.withRecord(at: index) { text.append(bytesOf: $0.extracting(first: count)) }
            lines.append(
                ConversationLine(
                    tag.speaker, text, request: RequestKey(number: tag.request), isBrokenOff: tag.standing == .brokenOff))
        }
        return lines.reversed()
    }
}
