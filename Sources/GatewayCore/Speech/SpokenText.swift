/// How the text of a spoken answer lies on the time of its sound: so that a client that says how much it has played says how much was heard.
///
/// The words that are spoken are a reduction of the text that the client sees; bytes are counted in the client's text.
package struct SpokenText: Sendable, Hashable {
    private struct Piece: Sendable, Hashable {
        var sentence: SpokenSentence
        var nanoseconds: Int64 = 0
        /// No more sound comes.
        var isComplete = false
    }

    private var pieces: [Piece] = []

    package init() {}

    /// Whether nothing was spoken, and nothing is about to be.
    package var isEmpty: Bool { pieces.allSatisfy { $0.isComplete && $0.nanoseconds == 0 } }
    package var heldBytes: Int { pieces.reduce(0) { $0 + $1.sentence.heldBytes + 32 } }

    /// The next sentence, about to be spoken.
    package mutating func begin(_ sentence: SpokenSentence) { pieces.append(Piece(sentence: sentence)) }

    /// So much more sound of the last sentence.
    package mutating func add(nanoseconds: Int64) {
        guard !pieces.isEmpty else { return }
        pieces[pieces.count - 1].nanoseconds &+= nanoseconds
    }

    /// The last sentence has all the sound that it is going to have, which may be none.
    package mutating func end() {
        guard !pieces.isEmpty else { return }
        pieces[pieces.count - 1].isComplete = true
    }

    /// Bytes of the text that were heard within so much time. For a sentence that broke off, the share of it that was played, to the last whole
    /// word. A sentence without sound counts as heard when the sound before it was played, and some of the sound behind it if there is any.
    package func bytes(heardAt milliseconds: Int64) -> Int {
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
