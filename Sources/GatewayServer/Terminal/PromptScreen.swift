// SPDX-License-Identifier: Apache-2.0

/// A screen on which program output scrolls above the user's input line.
///
/// The input line occupies one row below the output. It is erased before output and repainted after it, even if the output ends in the middle
/// of a row. All methods return the text to write to the terminal.
package struct PromptScreen: Sendable {
    package static let prompt = "> "

    /// Columns of the terminal.
    package var columns: Int
    private var isPainted = false
    /// The column at which output continues; 0 at the beginning of a row.
    private var column = 0

    package init(columns: Int) { self.columns = columns }

    /// Erases the input line, and moves the cursor to where output continues.
    package mutating func erase() -> String {
        guard isPainted else { return "" }
        isPainted = false
        return "\r\u{1B}[K" + (column > 0 ? "\u{1B}[A\u{1B}[\(column + 1)G" : "")
    }

    /// Returns output, and updates the column. The input line must be erased.
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
        // After a full row, the position of the cursor depends on the terminal, so the row is ended with a line feed.
        column = 0
        return text + "\n"
    }

    /// Paints the input line below the output.
    package mutating func paint(_ editor: LineEditor) -> String {
        let start = isPainted ? "\r" : column > 0 ? "\r\n" : "\r"
        isPainted = true
        let view = editor.view(columns: columns - 1 - Self.prompt.count)
        return "\(start)\(Self.prompt)\(view.text)\u{1B}[K\u{1B}[\(Self.prompt.count + view.cursor + 1)G"
    }

    /// Returns a finished line as output, in rows of its own. The input line must be erased.
    package mutating func finish(_ line: String) -> String {
        let start = column > 0 ? "\n" : ""
        column = 0
        return start + line + "\n"
    }

    /// Clears the screen.
    package mutating func clear() -> String {
        isPainted = false
        column = 0
        return "\u{1B}[H\u{1B}[2J"
    }
}
