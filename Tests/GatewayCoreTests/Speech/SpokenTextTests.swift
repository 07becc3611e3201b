// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

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

    @Test func `without sentences, no text counts as played`() {
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
