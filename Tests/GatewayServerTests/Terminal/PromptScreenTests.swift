// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct PromptScreenTests {
    private func editor(_ text: String) -> LineEditor {
        var editor = LineEditor()
        for scalar in text.unicodeScalars { _ = editor.handle(.scalar(scalar)) }
        return editor
    }

    @Test func `output is above the input line, and continues where it ended`() {
        var screen = PromptScreen(columns: 20)
        #expect(screen.paint(editor("ab")) == "\r> ab\u{1B}[K\u{1B}[5G")
        #expect(screen.erase() == "\r\u{1B}[K" && screen.erase().isEmpty)
        #expect(screen.output("hello 日") == "hello 日")
        #expect(screen.paint(editor("ab")) == "\r\n> ab\u{1B}[K\u{1B}[5G")
        // A second paint stays in the same row.
        #expect(screen.paint(editor("abc")) == "\r> abc\u{1B}[K\u{1B}[6G")
        #expect(screen.erase() == "\r\u{1B}[K\u{1B}[A\u{1B}[9G")
        #expect(screen.output(" there\n") == " there\n")
        #expect(screen.paint(editor("")) == "\r> \u{1B}[K\u{1B}[3G")
    }

    @Test(arguments: [(19, "\r\u{1B}[K\u{1B}[A\u{1B}[20G"), (20, "\r\u{1B}[K"), (21, "\r\u{1B}[K\u{1B}[A\u{1B}[2G")])
    func `a full row of output is ended with a line feed`(count: Int, erased: String) {
        var screen = PromptScreen(columns: 20)
        let text = String(repeating: "x", count: count)
        #expect(screen.output(text) == (count == 20 ? text + "\n" : text))
        _ = screen.paint(editor(""))
        #expect(screen.erase() == erased)
    }

    @Test func `a finished line stays on the screen, in its own row`() {
        var screen = PromptScreen(columns: 20)
        #expect(screen.finish("> a") == "> a\n")
        _ = screen.output("x")
        #expect(screen.finish("> b") == "\n> b\n")
    }

    @Test(
        arguments: [
            ("abc", 3), ("日本", 4), ("e\u{301}", 1), ("👍🏽", 2), ("👩\u{200D}🚀", 2), ("❤\u{FE0F}", 2), ("❤", 1), ("\u{200B}\u{AD}", 0),
            ("한", 2), ("ｱ", 1),
            ("Ａ", 2), ("é", 1), ("…", 1), ("🇩🇪", 2),
        ])
    func `wide characters and emoji have two columns, combining characters none of their own`(text: String, width: Int) {
        #expect(DisplayWidth.of(text) == width)
    }
}
