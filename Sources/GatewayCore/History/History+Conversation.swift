// SPDX-License-Identifier: Apache-2.0

extension History {
    /// Returns the conversation before a request, oldest first, as far back as the bounds allow. A spoken response that was cut off
    /// contributes only its played part.
    package func conversation(before request: RequestKey, lines limit: Int, bytes: Int) -> [ConversationLine] {
        var lines: [ConversationLine] = []
        var left = bytes
        for index in (0..<ring.count).reversed() {
            let tag = ring.tag(at: index)
            guard lines.count < limit else { break }
            // Requests are numbered in order; after a restart the history may already contain later ones.
            guard tag.kind != .audio, tag.request < request.number || tag.request == 0, tag.inclusion != .excluded else { continue }
            let count = tag.played.map { min(Int($0), ring.recordCount(at: index)) } ?? ring.recordCount(at: index)
            guard count > 0 else { continue }
            guard count <= left else { break }
            left -= count
            var text: [UInt8] = []
            ring.withRecord(at: index) { text.append(bytesOf: $0.extracting(first: count)) }
            lines.append(
                ConversationLine(
                    tag.speaker, text, request: RequestKey(number: tag.request), isIncomplete: tag.inclusion == .incomplete))
        }
        return lines.reversed()
    }
}
