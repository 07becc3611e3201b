// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

/// The messages about upstream calls between nodes: each value is read back, and damaged messages are errors.
@Suite("The encoding of upstream events and commands between nodes") struct UpstreamRecordTests {
    private static let key = RequestKey(number: .max - 7)
    private static let format = AudioFormat(codec: .pcm16, rate: 16_000, channels: 2)

    private static func event(_ content: UpstreamEvent.Content, isLast: Bool = false, epilogue: UpstreamEvent.Epilogue? = nil)
        -> UpstreamItem
    {
        .event(UpstreamEvent(key, content, isLast: isLast, epilogue: epilogue))
    }

    private static var wholeEpilogue: UpstreamEvent.Epilogue {
        var timing = CallTiming()
        (timing.queue, timing.connect) = (.nanoseconds(1), .nanoseconds(2))
        (timing.first, timing.total) = (.nanoseconds(3), .nanoseconds(.max))
        var epilogue = UpstreamEvent.Epilogue(
            usage: Usage(inputTokens: 5, outputTokens: .max), timing: timing, finish: .contentFilter,
            correlationID: ULID(high: 1, low: .max))
        epilogue.transcribeUsage = Usage(inputTokens: 0, outputTokens: -1)
        epilogue.speech = .partial
        return epilogue
    }

    static let items: [UpstreamItem] = {
        var items: [UpstreamItem] = [
            event(.text(Array("wörd".utf8), final: false)), event(.text([], final: true), isLast: true, epilogue: .init()),
            event(.unsentText([0xFF, 0])),
            event(.transcript(Array("hi".utf8), final: true, confidence: 0.25, startMilliseconds: -1, endMilliseconds: .max)),
            event(.transcript([], final: false, confidence: nil, startMilliseconds: nil, endMilliseconds: nil)),
            event(.audioChunk([UInt8](repeating: 7, count: 1000))), event(.audioEnd(format)), event(.sentence(characters: 12)),
            event(.status("thinking", progress: 0.5, bytes: 9)), event(.status("", progress: nil)),
            event(.failure(.upstreamBusy, retryAfterMilliseconds: 250, isRetryable: false), isLast: true, epilogue: wholeEpilogue),
            .consumed(0), .consumed(.max), .played(123, key),
        ]
        items += AudioFormat.Codec.allCases.map { event(.audio(AudioFormat(codec: $0, rate: 48_000, channels: 1))) }
        items += ErrorReason.allCases.map { event(.failure($0, retryAfterMilliseconds: nil), isLast: true) }
        items += FinishReason.allCases.map { event(.text([], final: true), isLast: true, epilogue: .init(finish: $0)) }
        var price = Price()
        (price.per1kInputTokens, price.per1kOutputTokens) = (0.5, 1.5)
        (price.perAudioMinute, price.per1kCharacters) = (2.5, 3.5)
        let stages = [UpstreamRole.transcribe, .respond, .synthesize, .any].map {
            RouteTariff.Stage(role: $0, upstream: "u-\($0)", price: price)
        }
        items.append(.routed(key, RouteTariff(route: "voice", stages: stages)))
        return items
    }()

    /// The contents of an item, for comparisons.
    private static func text(_ item: UpstreamItem) -> String {
        guard case .routed(let key, let tariff) = item else { return "\(item)" }
        return "\(key) \(tariff.route) \(tariff.stages) \(tariff.transcriber ?? -1) \(tariff.responder ?? -1) \(tariff.synthesizer ?? -1)"
    }

    @Test(arguments: items.indices) func `an item is read as it was written`(index: Int) throws {
        let item = Self.items[index]
        let read = try UpstreamItem(record: item.record)
        #expect(Self.text(read) == Self.text(item))
        #expect(read.record == item.record)
    }

    @Test(arguments: items.indices) func `an item that is cut off anywhere, or followed by a byte, is an error`(index: Int) {
        Self.expectStrict(Self.items[index].record) { record throws(RecordError) in _ = try UpstreamItem(record: record) }
    }

    private static func expectStrict(_ record: [UInt8], _ read: ([UInt8]) throws(RecordError) -> Void) {
        for count in 0..<record.count {
            #expect(throws: RecordError.self, "\(count) of \(record.count)") { try read(Array(record.prefix(count))) }
        }
        #expect(throws: RecordError.self) { try read(record + [0]) }
    }

    // MARK: Commands

    private static func request(_ input: UpstreamRequest.Input, whole: Bool) throws -> UpstreamRequest {
        let id = try #require(MessageID("request:1"))
        guard whole else { return UpstreamRequest(key: key, id: id, input: input, lang: nil, stream: false, output: .init(), meta: []) }
        var output = UpstreamRequest.Output()
        (output.text, output.audio, output.format, output.voice) = (false, true, format, Array("voice".utf8))
        let connection = TraceContext(high: 1, low: 2, span: 3, isSampled: true)
        var request = UpstreamRequest(
            key: key, id: id, input: input, lang: Array("de-CH".utf8), stream: true, output: output,
            meta: [.init(key: Array("a".utf8), value: Array("b".utf8)), .init(key: Array("c".utf8), value: [])], path: "/v1/ws/über",
            access: RequestAccess(user: "u", claims: [.init(key: [1], value: [2])], routes: ["x", ""]),
            origin: TraceOrigin(connection: connection, joinsClient: true))
        request.trace = TraceContext(high: 0, low: .max, span: 4, isSampled: false)
        request.session = ULID(high: 5, low: 6)
        request.route = "route"
        request.conversation = [
            ConversationLine(.client, Array("hello".utf8), request: RequestKey(number: 1)),
            ConversationLine(.upstream, [], request: RequestKey(number: 2), isIncomplete: true),
        ]
        request.whisper = Array("psst".utf8)
        return request
    }

    private static let inputs: [UpstreamRequest.Input] = [.text(Array("tëxt".utf8)), .recording(format, [1, 2, 3]), .audio(format)]

    @Test(arguments: inputs.indices, [false, true]) func `a whole request is read as it was written`(input: Int, whole: Bool) throws {
        let request = try Self.request(Self.inputs[input], whole: whole)
        let record = UpstreamCommand.start(request).record(audio: [])
        let (command, audio) = try UpstreamCommand.read(record)
        guard case .start(let read) = command else {
            Issue.record("not a start")
            return
        }
        #expect(audio.isEmpty)
        #expect(UpstreamCommand.start(read).record(audio: []) == record)
        #expect(read.key == request.key && read.id == request.id && "\(read.input)" == "\(request.input)")
        #expect(read.lang == request.lang && read.stream == request.stream && "\(read.output)" == "\(request.output)")
        #expect("\(read.meta)" == "\(request.meta)" && read.path == request.path && read.origin == request.origin)
        #expect(read.access?.user == request.access?.user && read.access?.routes == request.access?.routes)
        #expect(read.trace == request.trace && read.session == request.session && read.route == request.route)
        #expect(read.conversation == request.conversation && read.whisper == request.whisper)
        if whole { Self.expectStrict(record) { record throws(RecordError) in _ = try UpstreamCommand.read(record) } }
    }

    @Test func `an audio command carries its part of the buffer`() throws {
        let record = UpstreamCommand.audio(Self.key, chunk: 1..<4).record(audio: [9, 1, 2, 3, 9])
        let (command, audio) = try UpstreamCommand.read(record)
        guard case .audio(let key, let chunk) = command else {
            Issue.record("not audio")
            return
        }
        #expect(key == Self.key && Array(audio[chunk]) == [1, 2, 3])
        Self.expectStrict(record) { record throws(RecordError) in _ = try UpstreamCommand.read(record) }
    }

    static let commands: [UpstreamCommand] =
        [
            .audioEnd(key), .cancel(key, playedMilliseconds: nil), .cancel(key, playedMilliseconds: -5),
            .clientState(.playing, replyTo: MessageID("m"), playedMilliseconds: 77),
        ] + ClientMessage.Status.State.allCases.map { .clientState($0, replyTo: nil, playedMilliseconds: nil) }

    @Test(arguments: commands.indices) func `a command is read as it was written`(index: Int) throws {
        let command = Self.commands[index]
        let record = command.record(audio: [])
        #expect("\(try UpstreamCommand.read(record).command)" == "\(command)")
        Self.expectStrict(record) { record throws(RecordError) in _ = try UpstreamCommand.read(record) }
    }

    @Test func `messages of another version, kind or flag are errors`() {
        for record in [[], [0], [2, 1], [1, 4], [1, 5], [1, 255]] as [[UInt8]] {
            #expect(throws: RecordError.self) { try UpstreamItem(record: record + [UInt8](repeating: 0, count: 8)) }
            #expect(throws: RecordError.self) { _ = try UpstreamCommand.read(record + [UInt8](repeating: 0, count: 40)) }
        }
        var record = Self.items[0].record
        // The flag of the last event, after the version, the kind and the key.
        record[10] = 2
        #expect(throws: RecordError.self) { try UpstreamItem(record: record) }
    }

    @Test func `numbers that aren't finite, or are negative counts, are errors`() {
        let confidence = Self.event(
            .transcript([], final: true, confidence: .nan, startMilliseconds: nil, endMilliseconds: nil))
        #expect(throws: RecordError.self) { try UpstreamItem(record: confidence.record) }
        #expect(throws: RecordError.self) { try UpstreamItem(record: UpstreamItem.consumed(-1).record) }
    }

    @Test func `random changes of a byte are errors or another message, whose encoding is the input`() throws {
        var generator = ULIDSource(seed: 19)
        for _ in 0..<20_000 {
            var record = try #require(Self.items.randomElement(using: &generator)).record
            record[Int.random(in: record.indices, using: &generator)] = .random(in: 0...255, using: &generator)
            if let read = try? UpstreamItem(record: record) { #expect(read.record == record) }
        }
    }
}
