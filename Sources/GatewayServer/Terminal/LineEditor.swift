// SPDX-License-Identifier: Apache-2.0

/// An editor for one line of terminal input. Keys edit the line, or produce an action for the program.
///
/// The key bindings are those of readline's Emacs mode. Line feeds in pasted text become part of the line.
package struct LineEditor: Sendable {
    package enum Action: Sendable, Hashable {
        case submit(String)
        /// Ctrl-D on an empty line.
        case endOfInput
        /// Ctrl-C on an empty line.
        case interrupt
        /// Ctrl-C on a line with text, which is discarded.
        case discarded(String)
        case suspend, quit, clearScreen
    }

    /// The visible part of the line.
    package struct View: Sendable, Hashable {
        package var text: String
        /// Columns before the cursor.
        package var cursor: Int
    }

    package private(set) var history: LineHistory
    private var characters: [Character] = []
    /// The number of characters before the cursor.
    private var cursor = 0
    /// The text that was last erased, for ``TerminalKey/yank``.
    private var erased: [Character] = []
    private var isPasting = false
    /// The index of the history line that is shown; nil for the user's own line.
    private var historyIndex: Int?
    /// The user's own line while a history line is shown.
    private var draft: [Character] = []

    package init(history: LineHistory = LineHistory()) { self.history = history }

    package var text: String { String(characters) }

    package mutating func handle(_ key: TerminalKey) -> Action? {
        switch key {
        case .scalar(let scalar): insert(scalar)
        case .pasteBegin: isPasting = true
        case .pasteEnd: isPasting = false
        case .enter: return submit()
        case .interrupt: return interrupt()
        case .endOfInput:
            guard !characters.isEmpty else { return .endOfInput }
            erase(cursor..<min(cursor + 1, characters.count), savesText: false)
        case .suspend: return .suspend
        case .quit: return .quit
        case .clearScreen: return .clearScreen
        case .backspace: erase(max(cursor - 1, 0)..<cursor, savesText: false)
        case .delete: erase(cursor..<min(cursor + 1, characters.count), savesText: false)
        case .left: cursor = max(cursor - 1, 0)
        case .right: cursor = min(cursor + 1, characters.count)
        case .home: cursor = 0
        case .end: cursor = characters.count
        case .wordLeft: cursor = wordStart
        case .wordRight: cursor = wordEnd
        case .eraseWordLeft: erase(wordStart..<cursor, savesText: true)
        case .eraseWordRight: erase(cursor..<wordEnd, savesText: true)
        case .eraseToStart: erase(0..<cursor, savesText: true)
        case .eraseToEnd: erase(cursor..<characters.count, savesText: true)
        case .yank:
            characters.insert(contentsOf: erased, at: cursor)
            cursor += erased.count
        case .transpose: transpose()
        case .up: recall(-1)
        case .down: recall(1)
        }
        return nil
    }

    // MARK: Changes

    private mutating func insert(_ scalar: Unicode.Scalar) {
        // A combining mark, or the next scalar of an emoji, extends the preceding character.
        if cursor > 0, scalar.value >= 0x300 {
            var joined = String(characters[cursor - 1])
            joined.unicodeScalars.append(scalar)
            if joined.count == 1, let character = joined.first {
                characters[cursor - 1] = character
                return
            }
        }
        characters.insert(Character(scalar), at: cursor)
        cursor += 1
    }

    private mutating func erase(_ range: Range<Int>, savesText: Bool) {
        guard !range.isEmpty else { return }
        if savesText { erased = Array(characters[range]) }
        characters.removeSubrange(range)
        cursor = range.lowerBound
    }

    private mutating func transpose() {
        guard characters.count > 1, cursor > 0 else { return }
        let second = min(cursor, characters.count - 1)
        characters.swapAt(second - 1, second)
        cursor = second + 1
    }

    private var wordStart: Int {
        var index = cursor
        while index > 0, characters[index - 1].isWhitespace { index -= 1 }
        while index > 0, !characters[index - 1].isWhitespace { index -= 1 }
        return index
    }

    private var wordEnd: Int {
        var index = cursor
        while index < characters.count, characters[index].isWhitespace { index += 1 }
        while index < characters.count, !characters[index].isWhitespace { index += 1 }
        return index
    }

    // MARK: Ends of a line

    private mutating func submit() -> Action {
        let line = text
        history.append(line)
        clear()
        return .submit(line)
    }

    private mutating func interrupt() -> Action {
        guard !characters.isEmpty else { return .interrupt }
        let line = text
        clear()
        return .discarded(line)
    }

    private mutating func clear() {
        characters = []
        cursor = 0
        historyIndex = nil
        draft = []
    }

    private mutating func recall(_ step: Int) {
        let count = history.lines.count
        let next = (historyIndex ?? count) + step
        guard (0...count).contains(next) else { return }
        if historyIndex == nil {
            guard next < count else { return }
            draft = characters
        }
        historyIndex = next == count ? nil : next
        characters = next == count ? draft : Array(history.lines[next])
        cursor = characters.count
    }

    // MARK: On the screen

    /// Returns the part of the line around the cursor that fits into `columns` columns, with `…` for text that was cut off. The cursor may
    /// be after the last character.
    package func view(columns: Int) -> View {
        let available = max(columns, 4)
        var start = cursor
        var width = 0
        while start > 0 {
            let next = Self.width(characters[start - 1])
            // One column is reserved for the ellipsis at each end.
            guard width + next <= (start == 1 ? available - 1 : available - 2) else { break }
            width += next
            start -= 1
        }
        let isCutAtStart = start > 0
        let before = width + (isCutAtStart ? 1 : 0)
        var (end, total) = (cursor, before)
        while end < characters.count {
            let next = Self.width(characters[end])
            guard total + next <= (end == characters.count - 1 ? available : available - 1) else { break }
            total += next
            end += 1
        }
        let shown = characters[start..<end].map(Self.shown).joined()
        return View(text: (isCutAtStart ? "…" : "") + shown + (end < characters.count ? "…" : ""), cursor: before)
    }

    /// Shows a line feed or tab as a symbol of one column.
    private static func shown(_ character: Character) -> String {
        switch character {
        case "\n": "↵"
        case "\t": "→"
        default: String(character)
        }
    }

    private static func width(_ character: Character) -> Int {
        character == "\n" || character == "\t" ? 1 : DisplayWidth.of(character)
    }
}
