// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct HistoryTests {
    private func append(_ text: String, to history: inout History, by speaker: History.Speaker = .client, at time: Int64 = 0) {
        Array(text.utf8).withRawSpan { history.append($0, .init(speaker, at: time)) }
    }

    private func texts(_ history: History) -> [String] {
        (0..<history.count).map { index in
            history.withText(at: index) { span, _ in String(decoding: (0..<span.byteCount).map { span.byte(at: $0) }, as: UTF8.self) }
        }
    }

    @Test func `an entry has a text, a speaker and a time`() {
        var history = History(maximumCount: 10, maximumBytes: 100)
        append("hello", to: &history, by: .client, at: 5)
        append("good day", to: &history, by: .upstream, at: 6)
        #expect(texts(history) == ["hello", "good day"])
        #expect(history.withText(at: 0) { $1.speaker } == .client)
        #expect(history.withText(at: 1) { $1.speaker } == .upstream)
        #expect(history.withText(at: 1) { $1.at } == 6)
    }

    @Test func `over the count bound, the oldest entries are removed`() {
        var history = History(maximumCount: 3, maximumBytes: 1000)
        for number in 1...3 { append("\(number)", to: &history) }
        #expect(texts(history) == ["1", "2", "3"])
        append("4", to: &history)
        #expect(texts(history) == ["2", "3", "4"])
    }

    @Test func `over the byte bound, the oldest entries are removed`() {
        var history = History(maximumCount: 100, maximumBytes: 10)
        append("12345", to: &history)
        append("67890", to: &history)
        #expect(texts(history) == ["12345", "67890"])
        append("x", to: &history)
        #expect(texts(history) == ["67890", "x"])
        append("0123456789", to: &history)
        #expect(texts(history) == ["0123456789"])
    }

    @Test func `a text that exceeds a bound by itself is ignored and removes nothing`() {
        var history = History(maximumCount: 100, maximumBytes: 10)
        append("kept", to: &history)
        append("01234567890", to: &history)
        append("", to: &history)
        #expect(texts(history) == ["kept"])
    }

    @Test func `with a bound of zero, no entry is kept`() {
        var none = History(maximumCount: 0, maximumBytes: 100)
        append("x", to: &none)
        #expect(none.count == 0)
        var empty = History(maximumCount: 100, maximumBytes: 0)
        append("x", to: &empty)
        #expect(empty.count == 0)
    }

    @Test func `pruning frees the memory`() {
        var history = History(maximumCount: 1000, maximumBytes: 1 << 20)
        for _ in 0..<100 { append(String(repeating: "a", count: 1000), to: &history) }
        #expect(history.footprint >= 100_000)
        history.prune()
        #expect(history.footprint == 0 && history.count == 0)
        append("next", to: &history)
        #expect(texts(history) == ["next"])
    }
}

@Suite("The conversation that a model receives") struct ConversationTests {
    private func history() -> History {
        var history = History(maximumCount: 100, maximumBytes: 1000)
        func say(_ speaker: History.Speaker, _ text: String, _ number: UInt64, _ kind: History.Kind = .text) {
            Array(text.utf8).withRawSpan { history.append($0, .init(speaker, kind, at: 1, request: RequestKey(number: number))) }
        }
        say(.client, "one", 1)
        say(.upstream, "first ", 1)
        say(.upstream, "answer", 1)
        history.append(RawSpan(), .init(.client, .audio, at: 2, request: RequestKey(number: 2)))
        say(.client, "two", 2, .transcript)
        say(.upstream, "second answer", 2)
        say(.client, "three", 3)
        return history
    }

    private func lines(_ history: History, before number: UInt64 = 3, lines: Int = 100, bytes: Int = 1000) -> [String] {
        history.conversation(before: RequestKey(number: number), lines: lines, bytes: bytes).map {
            "\($0.speaker == .client ? "user" : "model"): \(String(decoding: $0.text, as: UTF8.self))"
        }
    }

    @Test func `the conversation has all earlier texts and transcripts`() {
        #expect(lines(history()) == ["user: one", "model: first ", "model: answer", "user: two", "model: second answer"])
    }

    @Test func `the conversation goes back as far as the bounds allow`() {
        #expect(lines(history(), lines: 2) == ["user: two", "model: second answer"])
        #expect(lines(history(), bytes: 16) == ["user: two", "model: second answer"])
        #expect(lines(history(), bytes: 15) == ["model: second answer"])
        #expect(lines(history(), lines: 0) == [])
    }

    @Test func `a response is included up to where its playback stopped`() {
        var history = history()
        var isFound = history.setPlayed(7, of: RequestKey(number: 2))
        #expect(isFound)
        #expect(lines(history).last == "model: second ")
        // Across several entries, the last of which weren't played at all.
        isFound = history.setPlayed(4, of: RequestKey(number: 1))
        #expect(isFound)
        #expect(lines(history)[..<3] == ["user: one", "model: firs", "user: two"])
        isFound = history.setPlayed(1000, of: RequestKey(number: 1))
        #expect(isFound)
        #expect(lines(history)[2] == "model: answer")
        isFound = history.setPlayed(1, of: RequestKey(number: 9))
        #expect(!isFound)
    }
}
