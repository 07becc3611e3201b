// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Testing

@Suite struct LoopbackLinkTests {
    /// Stands in for the session: records events and consumed bytes.
    private final class Receiver: UpstreamEventSink {
        var events: [UpstreamEvent] = []
        var consumedBytes = 0
        var onEvent: (UpstreamEvent) -> Void = { _ in }

        func deliver(_ event: consuming UpstreamEvent) -> Bool {
            events.append(copy event)
            onEvent(event)
            return true
        }

        func consumed(_ bytes: Int) { consumedBytes += bytes }

        /// Returns the events since the last call, one line each.
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
                    case .sentence: "sentence"
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

    private func sendAudio(_ key: UInt64, _ count: Int) {
        link.send(.audio(RequestKey(number: key), chunk: 0..<count), audio: [UInt8](repeating: 0, count: count))
    }

    private func words(_ count: Int) -> String { (1...count).map { "w\($0)" }.joined(separator: " ") }

    @Test func `a short text is echoed in one piece`() throws {
        link.demand(64)
        try text(1, "hello there")
        #expect(receiver.lines() == ["1 text 'hello there' final last"])
        #expect(receiver.consumedBytes == 11)
    }

    @Test(arguments: [(20, 1), (21, 21)])
    func `a text of more than twenty words is streamed word by word and completely`(count: Int, events: Int) throws {
        link.demand(64)
        let whole = words(count)
        try text(1, whole)
        #expect(receiver.events.count == events)
        let pieces = receiver.events.compactMap { event -> [UInt8]? in
            if case .text(let text, let final) = event.content, final == event.isLast { text } else { nil }
        }
        #expect(Array(pieces.joined()) == Array(whole.utf8))
        #expect(receiver.events.last?.isLast == true && receiver.events.dropLast().allSatisfy { !$0.isLast })
        #expect(receiver.consumedBytes == whole.utf8.count)
    }

    @Test func `a client that doesn't stream gets a long text in one piece`() throws {
        link.demand(64)
        try text(1, words(100), stream: false)
        #expect(receiver.lines() == ["1 text '\(words(100))' final last"])
    }

    @Test func `no event is delivered without demand`() throws {
        try text(1, words(30))
        try text(2, "short")
        #expect(receiver.lines().isEmpty && receiver.consumedBytes == 0)
        link.demand(1)
        #expect(receiver.lines() == ["1 text 'w1 '"])
        #expect(receiver.consumedBytes == 3)
        link.demand(2)
        #expect(receiver.lines() == ["1 text 'w2 '", "1 text 'w3 '"])
        link.demand(28)
        #expect(receiver.lines().suffix(2) == ["1 text 'w30' final last", "2 text 'short' final last"])
        // All demand is used up.
        try text(3, "third")
        #expect(receiver.lines().isEmpty)
        link.demand(1)
        #expect(receiver.lines() == ["3 text 'third' final last"])
    }

    @Test func `a text of 50,000 one-letter words is echoed completely`() throws {
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
        #expect(receiver.consumedBytes == 100_000)
    }

    @Test func `the response to audio is a transcript with its measurements`() throws {
        link.demand(64)
        try start(1, .audio(Self.format))
        for _ in 0..<50 { sendAudio(1, 640) }
        #expect(receiver.lines().isEmpty)
        #expect(receiver.consumedBytes == 32_000)
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.lines() == ["1 transcript '1.0 s of pcm16 at 16000 Hz, peak silent, 0 % speech' final last"])
    }

    @Test func `audio is echoed as it arrives when meta requests it`() throws {
        link.demand(64)
        try start(1, .audio(Self.format), echo: true)
        sendAudio(1, 100)
        #expect(receiver.lines() == ["1 audio", "1 chunk 100"])
        sendAudio(1, 200)
        #expect(receiver.lines() == ["1 chunk 200"])
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.lines() == ["1 audio end", "1 transcript '0.0 s of pcm16 at 16000 Hz, peak silent, 0 % speech' final last"])
        #expect(receiver.consumedBytes == 300)
    }

    @Test func `echoed audio waits for demand and isn't consumed until it is delivered`() throws {
        try start(1, .audio(Self.format), echo: true)
        for _ in 0..<3 { sendAudio(1, 100) }
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.consumedBytes == 0)
        link.demand(2)
        #expect(receiver.lines() == ["1 audio", "1 chunk 100"])
        #expect(receiver.consumedBytes == 100)
        link.demand(10)
        #expect(receiver.lines().count == 4)
        #expect(receiver.consumedBytes == 300)
    }

    @Test func `an empty recording is echoed without audio`() throws {
        link.demand(64)
        try start(1, .audio(Self.format), echo: true)
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.lines() == ["1 transcript '0.0 s of pcm16 at 16000 Hz, peak silent, 0 % speech' final last"])
    }

    @Test func `a cancelled request delivers nothing more and its input is consumed`() throws {
        let whole = words(30)
        try text(1, whole)
        link.demand(3)
        #expect(receiver.lines().count == 3)
        link.send(.cancel(RequestKey(number: 1), playedMilliseconds: nil))
        link.demand(64)
        #expect(receiver.lines().isEmpty)
        #expect(receiver.consumedBytes == whole.utf8.count)
        try start(2, .audio(Self.format), echo: true)
        receiver.consumedBytes = 0
        sendAudio(2, 100)
        link.send(.cancel(RequestKey(number: 2), playedMilliseconds: 5))
        // Sent before the cancellation arrived.
        sendAudio(2, 50)
        link.send(.audioEnd(RequestKey(number: 2)))
        _ = receiver.lines()
        #expect(receiver.consumedBytes == 150)
        try text(3, "next")
        #expect(receiver.lines() == ["3 text 'next' final last"])
    }

    @Test func `an open recording doesn't block the texts behind it`() throws {
        link.demand(64)
        try start(1, .audio(Self.format))
        sendAudio(1, 640)
        try text(2, "meanwhile")
        #expect(receiver.lines() == ["2 text 'meanwhile' final last"])
        link.send(.audioEnd(RequestKey(number: 1)))
        #expect(receiver.lines().count == 1)
    }

    @Test func `audio responses don't overlap`() throws {
        try start(1, .audio(Self.format), echo: true)
        for _ in 0..<5 { sendAudio(1, 10) }
        link.send(.audioEnd(RequestKey(number: 1)))
        try start(2, .audio(Self.format), echo: true)
        sendAudio(2, 20)
        for _ in 0..<3 { link.demand(1) }
        link.demand(64)
        let lines = receiver.lines()
        #expect(lines.firstIndex { $0.hasPrefix("2") } == lines.lastIndex { $0.hasPrefix("1") }.map { $0 + 1 })
    }

    @Test func `commands sent while an event is delivered take effect`() throws {
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

    @Test func `a closed link delivers nothing`() throws {
        try text(1, words(30))
        link.close()
        link.demand(64)
        try text(2, "more")
        #expect(receiver.lines().isEmpty && receiver.consumedBytes == 0)
    }

    @Test func `a closed link releases its session`() {
        weak var weakReceiver: Receiver?
        let link: LoopbackLink
        do {
            let receiver = Receiver()
            weakReceiver = receiver
            link = LoopbackLink(session: receiver)
        }
        #expect(weakReceiver != nil)
        link.close()
        #expect(weakReceiver == nil)
        link.demand(1)
    }

    @Test func `all input is eventually consumed, however requests end`() throws {
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
                sendAudio(key, count)
            }
            if let key = open.randomElement(using: &random) { link.send(.audioEnd(RequestKey(number: key))) }
            if let key = open.randomElement(using: &random), Bool.random(using: &random) {
                link.send(.cancel(RequestKey(number: key), playedMilliseconds: nil))
            }
            link.demand(Int.random(in: 0...20, using: &random))
        }
        for key in open { link.send(.audioEnd(RequestKey(number: key))) }
        link.demand(1_000_000)
        #expect(receiver.consumedBytes == sent)
        #expect(receiver.events.count { $0.isLast } <= 500)
    }
}

extension LoopbackLink {
    fileprivate func send(_ command: UpstreamCommand) { send(command, audio: []) }
}
