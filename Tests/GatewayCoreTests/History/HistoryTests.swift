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

    @Test func `it keeps who said what when`() {
        var history = History(maximumCount: 10, maximumBytes: 100)
        append("hello", to: &history, by: .client, at: 5)
        append("good day", to: &history, by: .upstream, at: 6)
        #expect(texts(history) == ["hello", "good day"])
        #expect(history.withText(at: 0) { $1.speaker } == .client)
        #expect(history.withText(at: 1) { $1.speaker } == .upstream)
        #expect(history.withText(at: 1) { $1.at } == 6)
    }

    @Test func `the oldest go when there are too many`() {
        var history = History(maximumCount: 3, maximumBytes: 1000)
        for number in 1...3 { append("\(number)", to: &history) }
        #expect(texts(history) == ["1", "2", "3"])
        append("4", to: &history)
        #expect(texts(history) == ["2", "3", "4"])
    }

    @Test func `the oldest go when there are too many bytes`() {
        var history = History(maximumCount: 100, maximumBytes: 10)
        append("12345", to: &history)
        append("67890", to: &history)
        #expect(texts(history) == ["12345", "67890"])
        append("x", to: &history)
        #expect(texts(history) == ["67890", "x"])
        append("0123456789", to: &history)
        #expect(texts(history) == ["0123456789"])
    }

    @Test func `a text over the bounds alone isn't kept and drives nothing out`() {
        var history = History(maximumCount: 100, maximumBytes: 10)
        append("kept", to: &history)
        append("01234567890", to: &history)
        append("", to: &history)
        #expect(texts(history) == ["kept"])
    }

    @Test func `bounds of nothing keep nothing`() {
        var none = History(maximumCount: 0, maximumBytes: 100)
        append("x", to: &none)
        #expect(none.count == 0)
        var empty = History(maximumCount: 100, maximumBytes: 0)
        append("x", to: &empty)
        #expect(empty.count == 0)
    }

    @Test func `pruning gives the memory back`() {
        var history = History(maximumCount: 1000, maximumBytes: 1 << 20)
        for _ in 0..<100 { append(String(repeating: "a", count: 1000), to: &history) }
        #expect(history.footprint >= 100_000)
        history.prune()
        #expect(history.footprint == 0 && history.count == 0)
        append("next", to: &history)
        #expect(texts(history) == ["next"])
    }
}
