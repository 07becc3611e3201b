// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SpeechSegmenterTests {
    private func segment(_ text: String, cutEvery size: Int = 5, strips: Bool = true) -> [SpokenSentence] {
        var segmenter = SpeechSegmenter(stripsMarkdown: strips)
        let bytes = Array(text.utf8)
        var sentences: [SpokenSentence] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            sentences += segmenter.append(Array(bytes[start..<min(bytes.count, start + size)]))
        }
        sentences += segmenter.finish()
        #expect(segmenter.heldBytes == 0)
        return sentences
    }

    private func spoken(_ sentences: [SpokenSentence]) -> [String] {
        sentences.filter { !$0.isSilent }.map { String(decoding: $0.trimmed, as: UTF8.self) }
    }

    /// Texts, and their spoken sentences separated by "|".
    static let texts = [
        ("That is a great question! 😀", "That is a great question!"),
        ("That is a great question! 😀 Let me see.", "That is a great question!|😀 Let me see."),
        ("This is the first one. … — … And the second.", "This is the first one.|… — … And the second."),
        ("😀😀😀😀😀😀\nThis is after that.", "This is after that."),
        ("———————————————————\n| | | | | | | | | |\n```\ncode\n```\n", ""), ("👍", ""), ("…", ""), ("?!", ""), ("", ""),
        ("A picture: 📷📷📷📷📷📷📷📷\n★★★★★★★★★★\nNice one", "A picture: 📷📷📷📷📷📷📷📷|Nice one"),
        ("Numbers count, too. ५", "Numbers count, too.|५"), ("Really? Yes. 一", "Really? Yes. 一"),
        (
            "**Here it is, look:**\n\n```swift\nlet x = 1. \n```\n\nThat was [the code](https://x.y). 🎉",
            "Here it is, look:|That was the code."
        ),
    ]

    @Test(arguments: texts, [1, 4, 1000])
    func `a sentence without a letter or a digit isn't spoken separately`(text: (String, String), size: Int) {
        let sentences = segment(text.0, cutEvery: size)
        #expect(spoken(sentences) == text.1.split(separator: "|").map(String.init))
        #expect(sentences.reduce(0) { $0 + $1.sourceCount } == text.0.utf8.count)
        #expect(sentences.dropLast().allSatisfy { !$0.isSilent })
    }

    @Test func `without stripping, code and markup are spoken`() {
        #expect(spoken(segment("**Here it is, look:** `x`", strips: false)) == ["**Here it is, look:**", "`x`"])
    }

    @Test func `spoken text maps to the source text`() throws {
        let text = "Read **all** of [this page](https://example.com/a/b) now. Then *stop*."
        let sentences = segment(text)
        #expect(spoken(sentences) == ["Read all of this page now.", "Then stop."])
        let first = try #require(sentences.first)
        func shown(_ spoken: String) -> String { String(decoding: Array(text.utf8)[..<first.source(of: spoken.utf8.count)], as: UTF8.self) }
        #expect(shown("") == "")
        #expect(shown("Read ") == "Read ")
        #expect(shown("Read all ") == "Read **all** ")
        #expect(shown("Read all of this ") == "Read **all** of [this ")
        #expect(shown("Read all of this page now. ") == "Read **all** of [this page](https://example.com/a/b) now. ")
    }
}
