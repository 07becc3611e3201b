// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct LineEditorTests {
    /// Feeds the bytes that a terminal sends, and returns the resulting actions.
    private func type(_ text: String, into editor: inout LineEditor) -> [LineEditor.Action] {
        var reader = TerminalKeyReader()
        return reader.read(Array(text.utf8)).compactMap { editor.handle($0) }
    }

    private func typed(_ text: String) -> String {
        var editor = LineEditor()
        _ = type(text, into: &editor)
        return editor.text
    }

    @Test(
        arguments: [
            ("abc\u{7F}", "ab"), ("\u{7F}\u{7F}a", "a"), ("abc\u{1B}[D\u{1B}[Dx", "axbc"), ("abc\u{2}\u{2}\u{6}x", "abxc"),
            ("abc\u{1B}[Hx\u{1B}[Fy", "xabcy"), ("abc\u{1B}OHx\u{1B}OFy", "xabcy"), ("abc\u{1}x\u{5}y", "xabcy"),
            ("abc\u{1B}[1~\u{1B}[3~", "bc"), ("abc\u{1}\u{4}", "bc"), ("one two\u{17}", "one "),
            ("one two  \u{17}\u{19}\u{19}", "one two  two  "),
            ("one two\u{15}", ""), ("one two\u{1B}b\u{B}", "one "), ("one two\u{1}\u{1B}d", " two"), ("one two\u{1B}[1;5D\u{15}", "two"),
            ("one two\u{1B}\u{7F}", "one "), ("ab\u{14}", "ba"), ("abc\u{1B}[D\u{14}", "acb"), ("a\u{14}", "a"),
            ("\u{1B}[99;99;99X\u{1B}[?25hok", "ok"), ("\u{1B}\u{1B}[Dok", "ok"), ("a\tb", "a\tb"), ("a\u{1D}\u{1E}b", "ab"),
            ("日本語\u{7F}", "日本"), ("👍🏽\u{7F}", ""), ("e\u{301}x\u{7F}\u{7F}", ""), ("👩\u{200D}🚀!\u{7F}\u{7F}", ""), ("\u{9B}31ma", "31ma"),
        ])
    func `keys change the line`(keys: String, line: String) {
        #expect(typed(keys) == line)
    }

    @Test func `a character may arrive byte by byte; malformed UTF-8 is replaced`() {
        var reader = TerminalKeyReader()
        var keys: [TerminalKey] = []
        for byte in "é語👍\u{1B}[A".utf8 { keys += reader.read([byte]) }
        #expect(keys == [.scalar("é"), .scalar("語"), .scalar("👍"), .up])
        #expect(
            reader.read([0xFF, 0x61, 0xE8, 0xAA, 0x62, 0xC0]) == [
                .scalar("\u{FFFD}"), .scalar("a"), .scalar("\u{FFFD}"), .scalar("b"), .scalar("\u{FFFD}"),
            ])
    }

    @Test func `Enter submits a line; Ctrl-C discards it, and interrupts on an empty line; Ctrl-D ends the input`() {
        var editor = LineEditor()
        #expect(type("hello\r\n", into: &editor) == [.submit("hello"), .submit("")])
        #expect(type("never\u{3}", into: &editor) == [.discarded("never")] && editor.text.isEmpty)
        #expect(type("\u{3}\u{4}\u{1A}\u{1C}\u{C}", into: &editor) == [.interrupt, .endOfInput, .suspend, .quit, .clearScreen])
        // Ctrl-D on a line with text erases the next character; here there is none.
        #expect(type("x\u{4}", into: &editor) == [] && editor.text == "x")
    }

    @Test func `pasted lines are one text`() {
        var editor = LineEditor()
        #expect(type("\u{1B}[200~one\rtwo\r\nthree\nfour\u{3}\u{4}\u{1B}[A\u{1B}[201~", into: &editor) == [])
        #expect(editor.text == "one\ntwo\nthree\nfour")
        #expect(type("\r", into: &editor) == [.submit("one\ntwo\nthree\nfour")])
    }

    @Test func `a line of a million characters is submitted whole`() {
        let line = String(repeating: "0123456789", count: 100_000)
        var editor = LineEditor()
        #expect(type(line + "\r", into: &editor) == [.submit(line)])
    }

    @Test func `Up recalls earlier lines; Down returns to the user's own line`() {
        var editor = LineEditor()
        _ = type("one\rtwo\rtwo\r\rown", into: &editor)
        #expect(editor.history.lines == ["one", "two"])
        for (keys, line) in [
            ("\u{1B}[A", "two"), ("\u{10}", "one"), ("\u{1B}[A", "one"), ("\u{E}", "two"), ("\u{1B}[B", "own"), ("\u{1B}[B", "own"),
        ] {
            _ = type(keys, into: &editor)
            #expect(editor.text == line)
        }
        #expect(type("\u{1B}[A!\r", into: &editor) == [.submit("two!")])
        #expect(editor.history.lines == ["one", "two", "two!"])
    }

    @Test func `history is bounded in lines and bytes, and can be saved to a file and read back`() {
        var history = LineHistory()
        for number in 0...LineHistory.maximumLines { history.append("\(number)") }
        #expect(history.lines.count == LineHistory.maximumLines && history.lines.first == "1")
        history.append(String(repeating: "x", count: LineHistory.maximumBytes + 1))
        #expect(history.lines.last == "\(LineHistory.maximumLines)")
        history.append(String(repeating: "x", count: LineHistory.maximumBytes))
        #expect(history.lines.count == 1)
        var other = LineHistory()
        for line in ["a", "two\nlines", "back\\slash\\n", "ü"] { other.append(line) }
        #expect(LineHistory(file: other.file).lines == other.lines && other.file.split(separator: "\n").count == 4)
    }

    @Test(
        arguments: [
            ("abc", 10, "abc", 3), ("0123456789", 10, "…23456789", 9), ("0123456789", 11, "0123456789", 10),
            ("日本語日本語", 10, "…語日本語", 9), ("a\nb\tc", 10, "a↵b→c", 5),
        ] as [(String, Int, String, Int)])
    func `a long line shows the part around the cursor`(line: String, columns: Int, text: String, cursor: Int) {
        var editor = LineEditor()
        var reader = TerminalKeyReader()
        for key in reader.read(Array("\u{1B}[200~\(line)\u{1B}[201~".utf8)) { _ = editor.handle(key) }
        let view = editor.view(columns: columns)
        #expect(view.cursor == cursor && DisplayWidth.of(view.text) <= columns, "\(view)")
        #expect(view.text == text, "\(view)")
    }

    @Test func `with the cursor at the start, an ellipsis marks the cut end`() {
        var editor = LineEditor()
        _ = type("0123456789abcdef\u{1}", into: &editor)
        let view = editor.view(columns: 10)
        #expect(view.text == "012345678…" && view.cursor == 0)
    }
}
