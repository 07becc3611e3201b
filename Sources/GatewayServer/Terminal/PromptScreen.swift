/// Output of a program above the line that its user is writing, on the same screen.
///
/// The line takes one row, below the output. Before output it is erased and behind it painted again, also where the output ended in the
/// middle of a row. All methods return what is to be written to the terminal.
package struct PromptScreen: Sendable {
    package static let prompt = "> "

    /// Columns of the terminal.
    package var columns: Int
    private var isPainted = false
    /// Columns of the last row of output in front of its end; 0 at the beginning of a row.
    private var column = 0

    package init(columns: Int) { self.columns = columns }

    /// Takes the line off the screen, and puts the cursor where output goes on.
    package mutating func erase() -> String {
        guard isPainted else { return "" }
        isPainted = false
        return "\r\u{1B}[K" + (column > 0 ? "\u{1B}[A\u{1B}[\(column + 1)G" : "")
    }

    /// Output, while the line isn't on the screen.
    package mutating func output(_ text: String) -> String {
        for character in text {
            switch character {
            case "\n", "\r\n": column = 0
            case "\t": column = min(column / 8 * 8 + 8, columns - 1)
            default:
                let width = DisplayWidth.of(character)
                column = column + width > columns ? width : column + width
            }
        }
        guard column >= columns else { return text }
        // A full row leaves the cursor in the last column until the next character, so that its position is ambiguous: the row is ended.
        column = 0
        return text + "\n"
    }

    package mutating func paint(_ editor: LineEditor) -> String {
        let start = isPainted ? "\r" : column > 0 ? "\r\n" : "\r"
        isPainted = true
        let view = editor.view(columns: columns - 1 - Self.prompt.count)
        return "\(start)\(Self.prompt)\(view.text)\u{1B}[K\u{1B}[\(Self.prompt.count + view.cursor + 1)G"
    }

    /// The line as it was written, in rows of its own that stay; while it isn't on the screen.
    package mutating func finish(_ line: String) -> String {
        let start = column > 0 ? "\n" : ""
        column = 0
        return start + line + "\n"
    }

    /// An empty screen.
    package mutating func clear() -> String {
        isPainted = false
        column = 0
        return "\u{1B}[H\u{1B}[2J"
    }
}
