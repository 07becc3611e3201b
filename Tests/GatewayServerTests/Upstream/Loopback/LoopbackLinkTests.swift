import GatewayCore
import GatewayServer
import Testing

@Suite struct LoopbackLinkTests {
    /// The session's side: notes what comes, and asks for no more than the test does.
    private final class Receiver: UpstreamEventSink {
        var events: [UpstreamEvent] = []
        var taken = 0
        var onEvent: (UpstreamEvent) -> Void = { _ in }

        func deliver(_ event: consuming UpstreamEvent) -> Bool {
            events.append(copy event)
            onEvent(event)
            return true
        }

        func consumed(_ bytes: Int) { taken += bytes }

        /// On one line each, without what was seen before.
        func lines() -> [String] {
            defer { events = [] }
            return events.map { event in
                let what =
                    switch event.content {
                    case .text(let text, let final): "text '\(String(decoding: text, as: UTF8.self))'\(final ? " final" : "")"
                    case .transcript(let text, let final, _, _, _):
                        "transcript '\(String(decoding: text, as: UTF8.self))'\(final ? " final" : "")"
                    case .audio: "audio"
                    case .audioChunk(let chunk): "chunk \(chunk.count)"
                    case .unsentText: "unsent"
                    case .audioEnd: "audio end"
                    case .status(let state, _, _): "status \(state)"
                    case .failure(let reason, _, _): "failure \(reason.code)"
                    }
                return "\(event.request.number) \(what)\(event.isLast ? " last" : "")"
            }
        }
    }

    private let receiver = Receiver()
    private let link: LoopbackLink

    init() { link = LoopbackLink(session: receiver) }

    private static let format = AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)

    private func start(_ key: UInt64, _ input: UpstreamRequest.Input, stream: Bool = true, echo: Bool = false) throws {
        let meta = echo ? [UpstreamRequest.Meta(key: Array("echo".utf8), value: Array("audio".utf8))] : []
        let id = try #require(MessageID("r\(key)"))
        link.send(
            .start(
                UpstreamRequest(key: RequestKey(number: key), id: id, input: input, lang: nil, stream: stream, output: .init(), meta: meta))
        )
    }

    private func text(_ key: UInt64, _ text: String, stream: Bool = true) throws {
        try start(key, .text(Array(text.utf8)), stream: stream)
    }

    private func hear(_ key: UInt64, _ count: Int) {
        link.send(.audio(RequestKey(number: key), chunk: 0..<count), audio: [UInt8](repeating: 0, count: count))
    }

    private func words(_ count: Int) -> String { (1...count).map { "w\($0)" }.joined(separator: " ") }

    @Test func `a short text comes back in one piece`() throws {
        link.demand(64)
        try text(1, "hello there")
        #expect(receiver.lines() == ["1 text 'hello there' final last"])
        #expect(receiver.taken == 11)
    }

    @Test(arguments: [(20, 1), (21, 21)])
    func `a text of more than twenty words is streamed word by word and adds up`(count: Int, events: Int) throws {
        link.demand(64)
        let whole = words(count)
        try text(1, whole)
        #expect(receiver.events.count == events)
        let pieces = receiver.events.compactMap { event -> [UInt8]? in
            if case .text(let text, let final) = event.content, final == event.isLast { text } else { nil }
        }
        #expect(Array(pieces.joined()) == Array(whole.utf8))
        #expect(receiver.events.last?.isLast == true && receiver.events.dropLast().allSatisfy { !$0.isLast })
        #expect(receiver.taken == whole.utf8.count)
    }

    @Test func `a client that doesn't stream gets one piece`() throws {
        link.demand(64)
        try text(1, words(100), stream: false)
        #expect(receiver.lines() == ["1 text '\(words(100))' final last"])
    }

    @Test func `nothing comes that wasn't asked for`() throws {
        try text(1, words(30))
        try text(2, "short")
        #expect(receiver.lines().isEmpty && receiver.taken == 0)
        link.demand(1)
        #expect(receiver.lines() == ["1 text 'w1 '"])
        #expect(receiver.taken == 3)
        link.demand(2)
        #expect(receiver.lines() == ["1 text 'w2 '", "1 text 'w3 '"])
        link.demand(28)
        #expect(receiver.lines().suffix(2) == ["1 text 'w30' final last", "2 text 'short' final last"])
        // One more was asked for than there was; it is owed to the next.
        try text(3, "third")
        #expect(receiver.lines().isEmpty)
        link.demand(1)
        #expect(receiver.lines() == ["3 text 'third' final last"])
    }

    @Test func `a hundred thousand bytes of one-letter words come back whole`() throws {
        let whole = String(repeating: "a ", count: 50_000)
        try text(1, whole)
        var events = 0
        while true {
            link.demand(64)
            guard !receiver.events.isEmpty else { break }
            events += receiver.events.count
            receiver.events = []
        }
        #expect(events == 50_000)
        #expect(receiver.taken == 100_000)
    }

    @Test func `audio is answered with what was measured`() throws {
        link.demand(64)
        try start(1, .audio(Self.format))
        for _ in 0..<50 { hear(1, 640) }
        #expect(receiver.lines().isEmpty)
        #expect(receiver.taken == 32_000)
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.lines() == ["1 transcript '1.0 s of pcm16 at 16000 Hz, peak silent, 0 % speech' final last"])
    }

    @Test func `audio is played back as it comes in when that is asked for`() throws {
        link.demand(64)
        try start(1, .audio(Self.format), echo: true)
        hear(1, 100)
        #expect(receiver.lines() == ["1 audio", "1 chunk 100"])
        hear(1, 200)
        #expect(receiver.lines() == ["1 chunk 200"])
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.lines() == ["1 audio end", "1 transcript '0.0 s of pcm16 at 16000 Hz, peak silent, 0 % speech' final last"])
        #expect(receiver.taken == 300)
    }

    @Test func `audio that may not be played yet waits and isn't taken`() throws {
        try start(1, .audio(Self.format), echo: true)
        for _ in 0..<3 { hear(1, 100) }
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.taken == 0)
        link.demand(2)
        #expect(receiver.lines() == ["1 audio", "1 chunk 100"])
        #expect(receiver.taken == 100)
        link.demand(10)
        #expect(receiver.lines().count == 4)
        #expect(receiver.taken == 300)
    }

    @Test func `an empty recording is played back as nothing`() throws {
        link.demand(64)
        try start(1, .audio(Self.format), echo: true)
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.lines() == ["1 transcript '0.0 s of pcm16 at 16000 Hz, peak silent, 0 % speech' final last"])
    }

    @Test func `a cancelled request says nothing more and is taken whole`() throws {
        let whole = words(30)
        try text(1, whole)
        link.demand(3)
        #expect(receiver.lines().count == 3)
        link.send(.cancel(RequestKey(number: 1), playedMilliseconds: nil))
        link.demand(64)
        #expect(receiver.lines().isEmpty)
        #expect(receiver.taken == whole.utf8.count)
        try start(2, .audio(Self.format), echo: true)
        receiver.taken = 0
        hear(2, 100)
        link.send(.cancel(RequestKey(number: 2), playedMilliseconds: 5))
        // On its way when it was cancelled.
        hear(2, 50)
        link.send(.audioEnd(RequestKey(number: 2)))
        _ = receiver.lines()
        #expect(receiver.taken == 150)
        try text(3, "next")
        #expect(receiver.lines() == ["3 text 'next' final last"])
    }

    @Test func `an open recording doesn't hold up the texts behind it`() throws {
        link.demand(64)
        try start(1, .audio(Self.format))
        hear(1, 640)
        try text(2, "meanwhile")
        #expect(receiver.lines() == ["2 text 'meanwhile' final last"])
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.lines().count == 1)
    }

    @Test func `audio answers don't overlap`() throws {
        try start(1, .audio(Self.format), echo: true)
        for _ in 0..<5 { hear(1, 10) }
        link.send(.audioEnd(RequestKey(number: 1)))
        try start(2, .audio(Self.format), echo: true)
        hear(2, 20)
        for _ in 0..<3 { link.demand(1) }
        link.demand(64)
        let lines = receiver.lines()
        #expect(lines.firstIndex { $0.hasPrefix("2") } == lines.lastIndex { $0.hasPrefix("1") }.map { $0 + 1 })
    }

    @Test func `what is sent from inside an event is answered too`() throws {
        try start(1, .audio(Self.format))
        try text(2, "two")
        try text(3, "three")
        receiver.onEvent = { [link] event in
            if event.request.number == 2 { link.send(.cancel(RequestKey(number: 1), playedMilliseconds: nil)) }
        }
        link.demand(64)
        #expect(receiver.lines() == ["2 text 'two' final last", "3 text 'three' final last"])
        receiver.onEvent = { _ in }
    }

    @Test func `a closed link says nothing`() throws {
        try text(1, words(30))
        link.close()
        link.demand(64)
        try text(2, "more")
        #expect(receiver.lines().isEmpty && receiver.taken == 0)
    }

    @Test func `a closed link keeps nothing alive`() {
        weak var gone: Receiver?
        let link: LoopbackLink
        do {
            let receiver = Receiver()
            gone = receiver
            link = LoopbackLink(session: receiver)
        }
        #expect(gone != nil)
        link.close()
        #expect(gone == nil)
        link.demand(1)
    }

    @Test func `everything that is sent is taken in the end, however it ends`() throws {
        var random = ULIDSource(seed: 5)
        var sent = 0
        var open: [UInt64] = []
        for key in 1...500 as ClosedRange<UInt64> {
            switch Int.random(in: 0..<4, using: &random) {
            case 0..<2:
                let whole = words(Int.random(in: 1...40, using: &random))
                sent += whole.utf8.count
                try text(key, whole, stream: Bool.random(using: &random))
            default:
                try start(key, .audio(Self.format), echo: Bool.random(using: &random))
            }
            open.append(key)
            for _ in 0..<3 {
                guard let key = open.randomElement(using: &random) else { break }
                let count = 2 * Int.random(in: 1...50, using: &random)
                sent += count
                hear(key, count)
            }
            if let key = open.randomElement(using: &random) { link.send(.audioEnd(RequestKey(number: key))) }
            if let key = open.randomElement(using: &random), Bool.random(using: &random) {
                link.send(.cancel(RequestKey(number: key), playedMilliseconds: nil))
            }
            link.demand(Int.random(in: 0...20, using: &random))
        }
        for key in open { link.send(.audioEnd(RequestKey(number: key))) }
        link.demand(1_000_000)
        #expect(receiver.taken == sent)
        #expect(receiver.events.count { $0.isLast } <= 500)
    }
}

extension LoopbackLink {
    fileprivate func send(_ command: UpstreamCommand) { send(command, audio: []) }
}
