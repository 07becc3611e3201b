// SPDX-License-Identifier: Apache-2.0

/// The alignment of a response's text with its audio, which maps a reported playback position to the part of the text that was played.
///
/// The spoken text is a reduction of the source text. All byte counts refer to the source text.
package struct SpokenText: Sendable, Hashable {
    private struct Piece: Sendable, Hashable {
        var sentence: SpokenSentence
        var nanoseconds: Int64 = 0
        /// Whether all audio of the sentence was received.
        var isComplete = false
    }

    private var pieces: [Piece] = []

    package init() {}

    /// Whether all sentences are complete and none has audio.
    package var isEmpty: Bool { pieces.allSatisfy { $0.isComplete && $0.nanoseconds == 0 } }
    package var heldBytes: Int { pieces.reduce(0) { $0 + $1.sentence.heldBytes + 32 } }

    /// Begins the next sentence.
    package mutating func begin(_ sentence: SpokenSentence) { pieces.append(Piece(sentence: sentence)) }

    /// Adds the duration of received audio to the last sentence.
    package mutating func add(nanoseconds: Int64) {
        guard !pieces.isEmpty else { return }
        pieces[pieces.count - 1].nanoseconds &+= nanoseconds
    }

    /// Ends the audio of the last sentence, which may have none.
    package mutating func end() {
        guard !pieces.isEmpty else { return }
        pieces[pieces.count - 1].isComplete = true
    }

    /// Returns the number of bytes of the text that were played up to a playback position.
    ///
    /// A partly played sentence counts by the played share of its audio, up to the last whole word. A sentence without audio counts as
    /// played once all audio before it and, if audio follows, part of that audio was played.
    package func bytes(playedAt milliseconds: Int64) -> Int {
        var left = milliseconds.multipliedReportingOverflow(by: 1_000_000).overflow ? Int64.max : milliseconds * 1_000_000
        guard left > 0 else { return 0 }
        var (count, silent) = (0, 0)
        for piece in pieces {
            guard piece.nanoseconds > 0 else {
                guard piece.isComplete else { return count }
                silent += piece.sentence.sourceCount
                continue
            }
            guard left < piece.nanoseconds else {
                left -= piece.nanoseconds
                count += silent + piece.sentence.sourceCount
                silent = 0
                continue
            }
            let text = piece.sentence.text
            let share = Int(Double(text.count) * Double(left) / Double(piece.nanoseconds))
            let words = text[..<min(share, text.count)].lastIndex { $0 <= 0x20 }.map { $0 + 1 } ?? 0
            return words > 0 ? count + silent + piece.sentence.source(of: words) : count
        }
        return count > 0 ? count + silent : 0
    }
}
