// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SpeechTextTests {
    private func speak(_ text: String, cutEvery size: Int = .max, strips: Bool = true) -> (text: String, source: Int) {
        var speech = SpeechText(stripsMarkdown: strips)
        var (spoken, runs): ([UInt8], [SpokenRun]) = ([], [])
        func drain() {
            let part = speech.drain()
            spoken += part.text
            runs += part.runs
            #expect(part.runs.reduce(0) { $0 + $1.spoken } == part.text.count)
        }
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: min(size, max(1, bytes.count))) {
            speech.append(Array(bytes[start..<min(bytes.count, start + min(size, bytes.count))]))
            drain()
        }
        speech.finish()
        drain()
        // Each verbatim run equals its part of the source text.
        var (spokenOffset, sourceOffset) = (0, 0)
        for run in runs {
            if run.kind == .copy {
                #expect(spoken[spokenOffset..<spokenOffset + run.spoken] == bytes[sourceOffset..<sourceOffset + run.source])
            }
            spokenOffset += run.spoken
            sourceOffset += run.source
        }
        return (String(decoding: spoken, as: UTF8.self), sourceOffset)
    }

    static let texts: [(String, String)] = [
        // Emphasis, and similar text without emphasis.
        ("This is **very** *important* and ***urgent***.", "This is very important and urgent."),
        ("__Bold__ and _italic_ but snake_case_name and __init__.", "Bold and italic but snake_case_name and init."),
        ("2 * 3 = 6, 2*3 = 6, 2 ** 3 = 8, ~~no~~ yes, ~5 km", "2 * 3 = 6, 2*3 = 6, 2 ** 3 = 8, no yes, ~5 km"),
        ("这是**重点**内容，这是*强调*。", "这是重点内容，这是强调。"),
        ("**First one. Second one.** Third.", "First one. Second one. Third."),
        // Headings, quotes, rules, lists.
        ("# Title\n\n## Second ##\n### C# and F#\n#hashtag", "Title\n\nSecond \nC# and F#\n#hashtag"),
        ("Title\n=====\nOther\n---\ntext\n\n***\n\n* * *\nend", "Title\n\nOther\n\ntext\n\n\n\n\nend"),
        ("> A quote\n> > in a quote", "A quote\nin a quote"),
        ("- one\n* two\n+ three\n  - **four**\n- [ ] open\n- [x] done\n-5 degrees\n- ", "one\ntwo\nthree\nfour\nopen\ndone\n-5 degrees\n"),
        ("• Milk\n  ◦ Eggs\na • b\n— yes", "Milk\nEggs\na • b\n— yes"),
        ("1. first\n2) second\n10. **tenth**\n3.5 is no item", "1. first\n2) second\n10. tenth\n3.5 is no item"),
        // Links, images, footnotes, definitions.
        ("See [the docs](https://example.com/a_(b)?x=1 \"Title (x)\") now.", "See the docs now."),
        ("A [**bold** link](<a b>) and [one][ref] and [two][] and [three].", "A bold link and one and two and [three]."),
        ("![A *red* cat](cat.png) sits. ![](x.png)!", "A red cat sits. !"),
        ("[![Build](https://x.y/b.svg)](https://x.y) passes", "Build passes"),
        (
            "It is so[^1], see [1] and [sic].\n[^1]: Because of it.\n[ref]: https://example.com \"T\"\n[Note]: this is text",
            "It is so, see [1] and [sic].\nBecause of it.\n\n[Note]: this is text"
        ),
        ("An open [bracket, and (another", "An open [bracket, and (another"),
        // URLs.
        (
            "Go to https://www.example.com/path?q=1#top. Then (see http://a.org:8080/x) www.b.net, ok?",
            "Go to example.com. Then (see a.org) b.net, ok?"
        ),
        (
            "<https://example.com/x> or <me@example.com>, http is a word, as is www",
            "example.com or me@example.com, http is a word, as is www"
        ),
        ("请看https://example.com/页。谢谢", "请看example.com页。谢谢"),
        ("[https://example.com/long/path](https://example.com/long/path)", "example.com"),
        // Code.
        ("Run `npm install` or ``a `b` c``.", "Run npm install or a `b` c."),
        ("Like this:\n\n```python\nprint(\"x\")\n# no heading\n```\nDone.", "Like this:\n\n\nDone."),
        ("~~~~\ncode\n~~~\nmore\n~~~~\nafter", "\nafter"),
        ("  ```js\n  x()\n  ```\nafter\n```\nnever closed", "\nafter\n"),
        ("```inline``` isn't a block", "inline isn't a block"),
        ("Here: ```js\nx\n```\nafter", "Here: \nafter"),
        // Tables.
        ("| Name | Age |\n|------|:---:|\n| Ann  | 5 |\n\nEnd | of", "Name, Age\n\nAnn, 5\n\nEnd , of"),
        // HTML and entities.
        (
            "A<br>line, <b>bold</b> <!-- hidden\n--> 1 < 2 &amp; 3 &gt; 2 &#39;x&#x27; &unknown; AT&T <3 a<b",
            "A line, bold  1 < 2 & 3 > 2 'x' &unknown; AT&T <3 a<b"
        ),
        ("<div class=\"x\">Text</div>\n<img src=\"a.png\"/>end", "Text \nend"),
        // Escapes.
        ("\\*no emphasis\\* and \\# and C:\\dir\\\nnext", "*no emphasis* and # and C:\\dir\nnext"),
        // Plain text of other scripts is unchanged.
        ("नमस्ते! आप कैसे हैं? 😀 Grüße, 世界。", "नमस्ते! आप कैसे हैं? 😀 Grüße, 世界。"), ("", ""), ("```", ""), ("---", ""), ("**", ""),
    ]

    @Test(arguments: texts, [1, 2, 3, 7, Int.max])
    func `Markdown is reduced to its speakable text, regardless of chunk sizes`(text: (String, String), size: Int) {
        let spoken = speak(text.0, cutEvery: size)
        #expect(spoken.text == text.1)
        #expect(spoken.source == text.0.utf8.count)
    }

    @Test(arguments: texts)
    func `without stripping, the text is spoken verbatim`(text: (String, String)) {
        #expect(speak(text.0, cutEvery: 3, strips: false).text == text.0)
    }

    @Test(arguments: [
        "[", "![", "`", "``` `", "<a", "[a](", "*", "|", "# ", "> ", "- ", "&", "https://", "h", "[^a]:", "~~~\n", "\\", "<!--",
    ])
    func `constructs opened tens of thousands of times are handled in linear time`(opening: String) {
        let text = String(repeating: opening, count: 30_000 / opening.utf8.count)
        #expect(speak(text).source == text.utf8.count)
        #expect(speak(text, cutEvery: 1000).source == text.utf8.count)
    }

    @Test func `the held text is bounded`() {
        for opening in ["[", "[a](", "`a", "https://a/", "<a ", "| - ", "[a]: ", "&a"] {
            var speech = SpeechText(stripsMarkdown: true)
            speech.append(Array(opening.utf8))
            for _ in 0..<3000 {
                speech.append(Array("a".utf8))
                _ = speech.drain()
                #expect(speech.heldBytes <= 2100)
            }
        }
    }

    @Test func `plain text is returned immediately`() {
        var speech = SpeechText(stripsMarkdown: true)
        for token in ["Hello", ", world", ". ", "This is", " it."] {
            speech.append(Array(token.utf8))
            #expect(speech.drain().text == Array(token.utf8))
        }
    }
}
