import GatewayCore
import Testing

@Suite struct SpeechSegmenterTests {
    private func script(_ text: String, cutEvery size: Int = 5, strips: Bool = true) -> [SpokenSentence] {
        var script = SpeechSegmenter(stripsMarkdown: strips)
        let bytes = Array(text.utf8)
        var sentences: [SpokenSentence] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            sentences += script.append(Array(bytes[start..<min(bytes.count, start + size)]))
        }
        sentences += script.finish()
        #expect(script.heldBytes == 0)
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
        let sentences = script(text.0, cutEvery: size)
        #expect(spoken(sentences) == text.1.split(separator: "|").map(String.init))
        #expect(sentences.reduce(0) { $0 + $1.sourceCount } == text.0.utf8.count)
        #expect(sentences.dropLast().allSatisfy { !$0.isSilent })
    }

    @Test func `without stripping, code and markup are spoken`() {
        #expect(spoken(script("**Here it is, look:** `x`", strips: false)) == ["**Here it is, look:**", "`x`"])
    }

    @Test func `spoken text maps to the client's text`() throws {
        let text = "Read **all** of [this page](https://example.com/a/b) now. Then *stop*."
        let sentences = script(text)
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

@Suite struct SpokenTextTests {
    private func sentence(_ text: String) -> SpokenSentence { SpokenSentence(text: Array(text.utf8), runs: [.copy(text.utf8.count)]) }
    private func silence(_ count: Int) -> SpokenSentence { SpokenSentence(text: [], runs: [.replacement(0, for: count)]) }

    private func spoken() -> SpokenText {
        var spoken = SpokenText()
        spoken.begin(sentence("One two. "))
        spoken.add(nanoseconds: 400_000_000)
        spoken.add(nanoseconds: 600_000_000)
        spoken.begin(sentence("three four five"))
        spoken.add(nanoseconds: 1_500_000_000)
        spoken.begin(sentence("unplayed"))
        return spoken
    }

    @Test(
        arguments: [
            (0, 0), (499, 4), (999, 4), (1000, 9), (1001, 9), (1700, 15), (2499, 20), (2500, 24), (9000, 24), (.max, 24), (-5, 0),
        ] as [(Int64, Int)])
    func `the played text ends with the last whole word played`(milliseconds: Int64, bytes: Int) {
        #expect(spoken().bytes(playedAt: milliseconds) == bytes)
    }

    @Test func `without sentences, no text was played`() {
        #expect(SpokenText().bytes(playedAt: 1000) == 0)
        #expect(SpokenText().isEmpty)
    }

    @Test(arguments: [(0, 0), (1000, 9), (1600, 9), (1700, 34), (2000, 37), (2500, 37)] as [(Int64, Int)])
    func `a sentence without audio counts as played once the next one is partly played`(milliseconds: Int64, bytes: Int) {
        var spoken = SpokenText()
        spoken.begin(sentence("One two. "))
        spoken.add(nanoseconds: 1_000_000_000)
        spoken.end()
        spoken.begin(sentence("It failed on this. "))
        spoken.end()
        spoken.begin(sentence("three two"))
        spoken.add(nanoseconds: 1_000_000_000)
        #expect(spoken.bytes(playedAt: milliseconds) == bytes)
    }

    @Test func `a silent sentence at the end counts as played with the last audio`() {
        var spoken = SpokenText()
        spoken.begin(silence(100))
        spoken.end()
        #expect(spoken.isEmpty)
        spoken.begin(sentence("One two. "))
        #expect(!spoken.isEmpty && spoken.bytes(playedAt: 500) == 0)
        spoken.add(nanoseconds: 1_000_000_000)
        spoken.end()
        spoken.begin(silence(50))
        spoken.end()
        #expect(spoken.bytes(playedAt: 500) == 104)
        #expect(spoken.bytes(playedAt: 1000) == 159)
    }
}
