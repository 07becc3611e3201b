// SPDX-License-Identifier: Apache-2.0

/// The withdrawal of an expired push.
extension Outbox {
    /// Whether `count` messages with `bytes` bytes together fit without dropping a message that wasn't written.
    func hasRoom(for count: Int, bytes: Int) -> Bool { freeCount >= count && bytes <= maximumBytes - min(waitingBytes, maximumBytes) }

    /// Removes the messages of a push, so that the client doesn't receive them later.
    ///
    /// The numbers of the removed messages are skipped by the next JSON message, as after a cancellation. Two cases differ. A message
    /// directly before a binary frame of another request is replaced, because a binary frame can't skip numbers. Audio that the client may
    /// have begun to receive is cut: the frames that were never written are removed, and its end stays.
    ///
    /// - Parameter replacement: the message that replaces one; receives its sequence number
    mutating func withdraw(_ push: RequestKey, replacement: (UInt64) -> [UInt8]) {
        let indices = (0..<ring.count).filter { ring.tag(at: $0).request == push }
        guard let first = indices.first else { return }
        let isAudio = indices.contains { ring.tag(at: $0).kind != .json }
        // Without its opening, which was acknowledged, the audio has begun, too.
        let isCut = isAudio && (ring.tag(at: first).kind != .opening || mayHaveArrived(first))
        var retained = RecordRing<Tag>()
        var (writtenLeft, waiting) = (written, 0)
        for index in 0..<ring.count {
            var tag = ring.tag(at: index)
            let isWritten = index < written
            if tag.request != push || (isCut && (mayHaveArrived(index) || tag.kind == .json)) {
                ring.withRecord(at: index) { retained.append($0, tag: tag) }
                if !isWritten { waiting += ring.recordCount(at: index) }
            } else if !isAudio, precedesForeignFrame(index) {
                tag.kind = .json
                let message = replacement(tag.sequence)
                message.withRawSpan { retained.append($0, tag: tag) }
                if !isWritten { waiting += message.count }
            } else if isWritten {
                writtenLeft -= 1
            }
        }
        ring = retained
        written = writtenLeft
        unwrittenBytes = waiting
        hasGaps = true
    }

    /// Whether the message at `index` was written to this connection or an earlier one.
    private func mayHaveArrived(_ index: Int) -> Bool { index < written || ring.tag(at: index).sequence <= writtenThrough }
}
