/// How the text of a spoken answer lies on the time of its sound: so that a client that says how much it has played says how much was heard.
package struct SpokenText: Sendable, Hashable {
    private struct Piece: Sendable, Hashable {
        var text: [UInt8]
        var nanoseconds: Int64
    }

    private var pieces: [Piece] = []

    package init() {}

    package var isEmpty: Bool { pieces.isEmpty }
    package var heldBytes: Int { pieces.reduce(0) { $0 + $1.text.count + 32 } }

    /// The next piece of the text, about to be spoken.
    package mutating func begin(_ text: [UInt8]) { pieces.append(Piece(text: text, nanoseconds: 0)) }

    /// So much more sound of the last piece.
    package mutating func add(nanoseconds: Int64) {
        guard !pieces.isEmpty else { return }
        pieces[pieces.count - 1].nanoseconds &+= nanoseconds
    }

    /// Bytes of the text that were heard within so much time. Of a piece that broke off, the share of it that was played, to the last whole word.
    package func bytes(heardAt milliseconds: Int64) -> Int {
        var left = milliseconds.multipliedReportingOverflow(by: 1_000_000).overflow ? Int64.max : milliseconds * 1_000_000
        var count = 0
        for piece in pieces {
            guard left < piece.nanoseconds else {
                left -= piece.nanoseconds
                // Nothing of it has sounded so far.
                guard piece.nanoseconds > 0 else { break }
                count += piece.text.count
                continue
            }
            let share = Int(Double(piece.text.count) * Double(max(0, left)) / Double(piece.nanoseconds))
            count += piece.text[..<min(share, piece.text.count)].lastIndex { $0 <= 0x20 }.map { $0 + 1 } ?? 0
            break
        }
        return count
    }
}
