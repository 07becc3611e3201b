/// The line that a user is writing on a terminal: keys change it, and some of them mean something to the program.
///
/// The keys are those of readline's Emacs mode. A paste may have line feeds in it, which become part of the line.
package struct LineEditor: Sendable {
    package enum Action: Sendable, Hashable {
        case submit(String)
        /// Ctrl-D on an empty line.
        case endOfInput
        /// Ctrl-C on an empty line.
        case interrupt
        /// Ctrl-C on a line with text in it, which is given up.
        case abandoned(String)
        case suspend, quit, clearScreen
    }

    /// The part of the line that has room on the screen.
    package struct View: Sendable, Hashable {
        package var text: String
        /// Columns in front of the cursor.
        package var cursor: Int
    }

    package private(set) var history: LineHistory
    private var characters: [Character] = []
    /// The number of characters in front of the cursor.
    private var cursor = 0
    /// The characters erased last, for ``TerminalKey/yank``.
    private var erased: [Character] = []
    private var isPasting = false
    /// The line of the history that is shown, and the user's own line meanwhile.
    private var shown: Int?
    private var own: [Character] = []

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
            erase(cursor..<min(cursor + 1, characters.count), keeps: false)
        case .suspend: return .suspend
        case .quit: return .quit
        case .clearScreen: return .clearScreen
        case .backspace: erase(max(cursor - 1, 0)..<cursor, keeps: false)
        case .delete: erase(cursor..<min(cursor + 1, characters.count), keeps: false)
        case .left: cursor = max(cursor - 1, 0)
        case .right: cursor = min(cursor + 1, characters.count)
        case .home: cursor = 0
        case .end: cursor = characters.count
        case .wordLeft: cursor = wordStart
        case .wordRight: cursor = wordEnd
        case .eraseWordLeft: erase(wordStart..<cursor, keeps: true)
        case .eraseWordRight: erase(cursor..<wordEnd, keeps: true)
        case .eraseToStart: erase(0..<cursor, keeps: true)
        case .eraseToEnd: erase(cursor..<characters.count, keeps: true)
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
        // A mark that combines, or the next part of an emoji, belongs to the character in front.
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

    private mutating func erase(_ range: Range<Int>, keeps: Bool) {
        guard !range.isEmpty else { return }
        if keeps { erased = Array(characters[range]) }
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
        return .abandoned(line)
    }

    private mutating func clear() {
        characters = []
        cursor = 0
        shown = nil
        own = []
    }

    private mutating func recall(_ step: Int) {
        let count = history.lines.count
        let next = (shown ?? count) + step
        guard (0...count).contains(next) else { return }
        if shown == nil {
            guard next < count else { return }
            own = characters
        }
        shown = next == count ? nil : next
        characters = next == count ? own : Array(history.lines[next])
        cursor = characters.count
    }

    // MARK: On the screen

    /// The part around the cursor that has room in so many columns; `…` stands for what was cut off. The cursor may stand behind it.
    package func view(columns: Int) -> View {
        let room = max(columns, 4)
        var start = cursor
        var width = 0
        while start > 0 {
            let next = Self.width(characters[start - 1])
            // One column is left for the mark at each end.
            guard width + next <= (start == 1 ? room - 1 : room - 2) else { break }
            width += next
            start -= 1
        }
        let isCutInFront = start > 0
        let before = width + (isCutInFront ? 1 : 0)
        var (end, total) = (cursor, before)
        while end < characters.count {
            let next = Self.width(characters[end])
            guard total + next <= (end == characters.count - 1 ? room : room - 1) else { break }
            total += next
            end += 1
        }
        let shown = characters[start..<end].map(Self.shown).joined()
        return View(text: (isCutInFront ? "…" : "") + shown + (end < characters.count ? "…" : ""), cursor: before)
    }

    /// A line feed and a tab are shown as something that takes a column.
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
