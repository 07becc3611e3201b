// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Chain state machine") struct ChainStateMachineTests {
    private static let stt = Chain.Stage(role: .transcribe, requiresRecording: true)
    private static let vosk = Chain.Stage(role: .transcribe)
    private static let llm = Chain.Stage(role: .respond)
    private static let tts = Chain.Stage(role: .synthesize)
    private static let any = Chain.Stage(role: .any)

    // MARK: One stage

    @Test func `a single stage receives the client's request, and its last event completes the request`() {
        let chain = ChainHarness([Self.any])
        #expect(chain.begin() == "start 0")
        #expect(chain.text("Hel") == "text Hel")
        #expect(chain.complete("lo", usage: (3, 4), finish: .length) == "finish text lo final, usage 3 4, length")
        #expect(chain.isEnded)
    }

    @Test func `the last text is final even if not marked, and other content is unchanged`() {
        let chain = ChainHarness([Self.any])
        _ = chain.begin()
        #expect(chain.complete(.text([0x61], final: false)) == "finish text a final")
        let transcription = ChainHarness([Self.vosk], audio: true)
        _ = transcription.begin()
        #expect(
            transcription.complete(.transcript([0x61], final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil))
                == "finish transcript a")
    }

    @Test func `a failed call fails the request with its error, retry_after and correlation id`() {
        let chain = ChainHarness([Self.llm])
        _ = chain.begin()
        var failure = CallFailure(.responseTimeout)
        failure.retryAfter = 300
        failure.correlationID = ULID(high: 1, low: 2)
        #expect(chain.fail(failure) == "finish upstream_timeout Timed out waiting for the upstream's response, retry 300, id")
        failure.isRetryable = false
        let other = ChainHarness([Self.llm])
        _ = other.begin()
        #expect(other.fail(failure) == "finish upstream_timeout Timed out waiting for the upstream's response, no retry, id")
        #expect(other.fail(failure) == "")
    }

    @Test func `the client's bytes count as consumed once; the input of later stages doesn't count`() {
        let chain = ChainHarness([Self.llm], text: "12345")
        _ = chain.begin()
        #expect(chain.heldBytes == 0)
        #expect(chain.consumed(3) == 3)
        #expect(chain.heldBytes == 3)
        #expect(chain.consumed(3) == 2)
        #expect(chain.consumed(3) == 0)
        let rest = ChainHarness([Self.llm], text: "12345")
        #expect(rest.consumeRest() == 5)
        #expect(rest.consumeRest() == 0)
    }

    // MARK: Collecting

    @Test func `audio for an upstream that requires a recording is collected, and sent when the audio ends`() {
        let chain = ChainHarness([Self.stt], audio: true)
        #expect(chain.begin() == "")
        #expect(chain.audio([1, 2]) == "consumed")
        #expect(chain.audio([3]) == "consumed")
        #expect(chain.heldBytes == 3)
        #expect(chain.end() == "start 0 recording 3")
        #expect(chain.audio([4]) == "consumed")
        #expect(chain.end() == "")
        #expect(chain.complete("x") == "finish text x final")
    }

    @Test func `a recording that is too long, empty or raw Opus packets is rejected`() {
        let long = ChainHarness(Chain([Self.stt], collectMaxBytes: 3), audio: true)
        _ = long.begin()
        #expect(long.audio([1, 2, 3]) == "consumed")
        #expect(
            long.audio([4]) == "finish audio_too_large The recording exceeds the size limit of its route (`collect_max_bytes`), no retry")
        #expect(long.audio([5]) == "consumed")
        #expect(long.end() == "")
        let empty = ChainHarness([Self.stt], audio: true)
        _ = empty.begin()
        #expect(empty.end() == "finish invalid_audio The recording is empty, no retry")
        let opus = ChainHarness([Self.stt], audio: true, codec: .opus)
        _ = opus.begin()
        _ = opus.audio([1])
        #expect(opus.end() == "finish invalid_audio The route doesn't accept single Opus packets; send ogg_opus or webm_opus, no retry")
    }

    @Test func `audio for an upstream that accepts streams is streamed`() {
        let chain = ChainHarness([Self.vosk, Self.llm], audio: true)
        #expect(chain.begin() == "start 0 audio")
        #expect(chain.audio([1, 2]) == "send")
        #expect(chain.consumed(2) == 2)
        #expect(chain.end() == "end input")
        #expect(chain.audio([1]) == "consumed")
        #expect(chain.end() == "")
    }

    @Test func `a stage that completes before the end of the audio doesn't need the rest`() {
        let chain = ChainHarness([Self.vosk, Self.llm], audio: true)
        _ = chain.begin()
        _ = chain.audio([1])
        #expect(chain.complete(transcript: "yes") == "transcript yes")
        #expect(chain.advance() == ["start 1 text yes"])
        #expect(chain.audio([2]) == "consumed")
        #expect(chain.end() == "")
        #expect(chain.complete("ok") == "finish text ok final")
    }

    // MARK: Chains

    @Test func `each stage of a chain receives the output of the previous stage`() {
        let chain = ChainHarness([Self.vosk, Self.llm, Self.tts], audio: true, wantsAudio: true)
        #expect(chain.begin() == "start 0 audio, text only")
        #expect(chain.end() == "end input")
        #expect(chain.transcript("how are") == "transcript how are")
        #expect(chain.complete(transcript: "you") == "transcript you")
        #expect(chain.advance() == ["start 1 text how are you, text only"])
        #expect(chain.text("I am well, thank you. ") == "text I am well, thank you. ")
        #expect(chain.advance() == ["synthesize I am well, thank you."])
        #expect(chain.speech(.audio(ChainHarness.pcm)) == "audio")
        #expect(chain.speech(.audioChunk([0, 0])) == "chunk 2")
        #expect(chain.text("And what about you?") == "text And what about you?")
        #expect(chain.advance() == [])
        #expect(chain.speech(.audioEnd(ChainHarness.pcm)) == "")
        chain.speechCompleted()
        #expect(chain.advance() == [])
        #expect(chain.complete("", usage: (5, 6)) == "text  final")
        #expect(chain.advance() == ["synthesize And what about you?"])
        #expect(chain.speech(.audio(ChainHarness.pcm)) == "")
        #expect(chain.speech(.audioChunk([0, 0, 0, 0])) == "chunk 4")
        chain.speechCompleted()
        #expect(chain.advance() == ["finish audio end, usage 5 6"])
    }

    @Test func `a text request skips transcribe, and synthesize unless audio is requested`() {
        let chain = ChainHarness([Self.vosk, Self.llm, Self.tts])
        #expect(chain.begin() == "start 1 text hello")
        #expect(!chain.hasSpeech)
        #expect(chain.complete("hi") == "finish text hi final")
        let single = ChainHarness([Self.tts], text: "Read this aloud.")
        #expect(single.hasSpeech)
        #expect(single.begin() == "synthesize Read this aloud.")
        single.sentenceStarted()
        #expect(single.speech(.audio(ChainHarness.pcm)) == "audio")
        single.speechCompleted()
        #expect(single.advance() == ["finish audio end"])
    }

    @Test func `a text request to a transcription-only route completes at once`() {
        let chain = ChainHarness([Self.vosk])
        #expect(chain.begin() == "finish text  final")
    }

    @Test func `a transcript without words ends the request`() {
        for words in ["", " \u{200B}"] {
            let chain = ChainHarness([Self.vosk, Self.llm], audio: true)
            _ = chain.begin()
            _ = chain.complete(transcript: words)
            #expect(chain.advance() == ["finish text  final"])
        }
    }

    @Test func `in a chain without a respond stage, the transcript is synthesized`() {
        let chain = ChainHarness([Self.vosk, Self.tts], audio: true, wantsAudio: true)
        _ = chain.begin()
        _ = chain.complete(transcript: "Say that again please.")
        #expect(chain.advance() == ["synthesize Say that again please."])
        chain.speechCompleted()
        #expect(chain.advance() == ["finish text  final"])
    }

    @Test func `timing and usage of the stages add up`() {
        let chain = ChainHarness([Self.vosk, Self.llm], audio: true)
        _ = chain.begin()
        _ = chain.complete(transcript: "a", usage: (1, 2))
        _ = chain.advance()
        #expect(chain.complete("b", usage: (10, 20)) == "finish text b final, usage 11 22")
        #expect(chain.queue == .nanoseconds(2))
    }

    // MARK: Speech

    /// A chain whose response text is complete, with two sentences.
    private func synthesizingChain(requiresSpeech: Bool = false, text: Bool = true) -> ChainHarness {
        let chain = ChainHarness(Chain([Self.llm, Self.tts], requiresSpeech: requiresSpeech), wantsAudio: true, wantsText: text)
        _ = chain.begin()
        _ = chain.complete("This is the first sentence. This is the second sentence.")
        #expect(chain.advance() == ["synthesize This is the first sentence."])
        return chain
    }

    @Test func `a failed sentence is skipped, and the last message reports partial speech`() {
        let chain = synthesizingChain()
        #expect(chain.speechFailed(.incompleteResponse()) == "status speech_failed")
        #expect(chain.advance() == ["synthesize This is the second sentence."])
        _ = chain.speech(.audio(ChainHarness.pcm))
        chain.speechCompleted()
        #expect(chain.advance() == ["finish audio end, speech partial"])
    }

    @Test func `when all sentences fail, the request completes with its text`() {
        let chain = synthesizingChain()
        _ = chain.speechFailed(.incompleteResponse())
        _ = chain.advance()
        _ = chain.speechFailed(.incompleteResponse())
        #expect(chain.advance() == ["finish text  final, speech failed"])
    }

    @Test func `when all sentences fail and no text was requested, the request fails`() {
        let chain = synthesizingChain(text: false)
        _ = chain.speechFailed(.incompleteResponse())
        _ = chain.advance()
        _ = chain.speechFailed(.incompleteResponse())
        #expect(chain.advance() == ["finish upstream_error The upstream's response is incomplete"])
    }

    @Test func `if speech is required, a failed sentence fails the request`() {
        let chain = synthesizingChain(requiresSpeech: true)
        #expect(chain.speechFailed(.incompleteResponse()) == "finish upstream_error The upstream's response is incomplete")
        #expect(chain.advance() == [])
    }

    @Test func `after two timeouts in a row, the remaining sentences are skipped`() {
        let chain = ChainHarness([Self.llm, Self.tts], wantsAudio: true)
        _ = chain.begin()
        _ = chain.complete("This is the first sentence. This is the second sentence. This is the third sentence. This is the last one.")
        #expect(chain.advance() == ["synthesize This is the first sentence."])
        _ = chain.speechFailed(.timeout(.awaiting))
        #expect(chain.advance() == ["synthesize This is the second sentence."])
        _ = chain.speechFailed(.timeout(.awaiting))
        #expect(chain.advance() == ["status speech_failed", "status speech_failed", "finish text  final, speech failed"])
    }

    @Test func `if a sentence ends before its start is reported, the next one waits for that report`() {
        let chain = ChainHarness([Self.llm, Self.tts], wantsAudio: true)
        _ = chain.begin()
        _ = chain.complete("This is the first sentence. This is the second sentence.")
        #expect(chain.next() == "synthesize This is the first sentence.")
        chain.speechCompleted()
        #expect(chain.next() == "")
        chain.sentenceStarted()
        #expect(chain.next() == "synthesize This is the second sentence.")
    }

    @Test func `audio in another format closes the first output and opens another`() {
        let chain = synthesizingChain()
        _ = chain.speech(.audio(ChainHarness.pcm))
        #expect(chain.speech(.audio(AudioFormat(codec: .pcm16, rate: 24_000, channels: 1))) == "reopen 16000 24000")
    }

    @Test func `text isn't sent when only audio was requested`() {
        let chain = ChainHarness([Self.llm, Self.tts], wantsAudio: true, wantsText: false)
        _ = chain.begin()
        #expect(chain.text("Hello there.") == "unsent Hello there.")
    }

    @Test func `text that is open at the end of the response is closed before synthesis`() {
        let chain = ChainHarness([Self.llm, Self.tts], wantsAudio: true)
        _ = chain.begin()
        _ = chain.text("Hello")
        _ = chain.complete(.status("done", progress: nil))
        #expect(chain.advance() == ["text  final", "synthesize Hello"])
    }

    // MARK: Cancelling, and unexpected inputs

    @Test func `after cancelling in any phase, all inputs are ignored`() {
        let phases: [(String, (ChainHarness) -> Void, ChainHarness)] = [
            ("ready", { _ in }, ChainHarness([Self.llm])),
            ("collecting", { _ = $0.audio([1]) }, ChainHarness([Self.stt], audio: true)),
            ("transcribing", { _ = $0.begin() }, ChainHarness([Self.vosk, Self.llm], audio: true)),
            (
                "transcribed",
                {
                    _ = $0.begin()
                    _ = $0.complete(transcript: "a")
                }, ChainHarness([Self.vosk, Self.llm], audio: true)
            ),
            ("responding", { _ = $0.begin() }, ChainHarness([Self.llm])),
            (
                "responded",
                {
                    _ = $0.begin()
                    _ = $0.complete("a")
                }, ChainHarness([Self.llm, Self.tts], wantsAudio: true)
            ),
            (
                "synthesizing",
                {
                    _ = $0.begin()
                    _ = $0.complete("One sentence is enough.")
                    _ = $0.advance()
                }, ChainHarness([Self.llm, Self.tts], wantsAudio: true)
            ),
        ]
        for (phase, step, chain) in phases {
            step(chain)
            chain.cancel()
            #expect(chain.isEnded, "\(phase)")
            #expect(chain.begin() == "", "\(phase)")
            #expect(chain.audio([1]) == "consumed", "\(phase)")
            #expect(chain.end() == "", "\(phase)")
            #expect(chain.text("a") == "", "\(phase)")
            #expect(chain.complete("a") == "", "\(phase)")
            #expect(chain.fail(.incompleteResponse()) == "", "\(phase)")
            #expect(chain.speech(.audio(ChainHarness.pcm)) == "", "\(phase)")
            chain.speechCompleted()
            #expect(chain.speechFailed(.incompleteResponse()) == "", "\(phase)")
            #expect(chain.advance() == [], "\(phase)")
        }
    }

    @Test func `events that don't fit the phase are ignored`() {
        let ready = ChainHarness([Self.llm, Self.tts], wantsAudio: true)
        #expect(ready.text("early") == "")
        #expect(ready.complete("early") == "")
        #expect(ready.speechFailed(.incompleteResponse()) == "")
        #expect(ready.advance() == [])
        #expect(ready.begin() == "start 0 text hello, text only")
        #expect(ready.begin() == "")
        #expect(ready.end() == "")
        #expect(ready.audio([1]) == "consumed")
        _ = ready.complete("One sentence is enough.")
        #expect(ready.complete("again") == "")
        #expect(ready.text("late") == "")
        #expect(ready.advance() == ["synthesize One sentence is enough."])
        ready.speechCompleted()
        ready.speechCompleted()
        #expect(ready.advance() == ["finish text  final"])
        let plain = ChainHarness([Self.llm])
        _ = plain.begin()
        #expect(plain.speech(.audio(ChainHarness.pcm)) == "")
        #expect(plain.speechFailed(.incompleteResponse()) == "")
        #expect(plain.complete("a") == "finish text a final")
    }
}

/// A harness for a chain that returns the actions as text.
private final class ChainHarness {
    static let pcm = AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)

    private var machine: ChainStateMachine
    private let now = Instant(nanoseconds: 1_000_000_000)
    private(set) var queue = Instant.Duration.zero

    convenience init(
        _ stages: [Chain.Stage], text: String = "hello", audio: Bool = false, codec: AudioFormat.Codec = .pcm16, wantsAudio: Bool = false,
        wantsText: Bool = true
    ) {
        self.init(Chain(stages), text: text, audio: audio, codec: codec, wantsAudio: wantsAudio, wantsText: wantsText)
    }

    init(
        _ chain: Chain, text: String = "hello", audio: Bool = false, codec: AudioFormat.Codec = .pcm16, wantsAudio: Bool = false,
        wantsText: Bool = true
    ) {
        var output = UpstreamRequest.Output()
        (output.text, output.audio) = (wantsText, wantsAudio)
        guard let id = MessageID("m1") else { preconditionFailure("m1 is an id") }
        let request = UpstreamRequest(
            key: RequestKey(number: 1), id: id,
            input: audio ? .audio(AudioFormat(codec: codec, rate: 16_000, channels: 1)) : .text(Array(text.utf8)), lang: nil, stream: true,
            output: output, meta: [])
        machine = ChainStateMachine(request, chain: chain, at: now)
    }

    var isEnded: Bool { machine.isEnded }
    var hasSpeech: Bool { machine.hasSpeech }
    var heldBytes: Int { machine.heldBytes }

    func begin() -> String { text(machine.begin(at: now)) }
    func end() -> String { text(machine.endInput(at: now)) }
    func text(_ delta: String) -> String { text(machine.received(.text(Array(delta.utf8), final: false))) }
    func consumed(_ bytes: Int) -> Int { machine.consumed(bytes) }
    func consumeRest() -> Int { machine.consumed(.max) }
    func cancel() { machine.cancel() }
    func sentenceStarted() { machine.sentenceStarted() }
    func speechCompleted() { machine.speechCompleted() }
    func next() -> String { text(machine.next(at: now)) }

    func audio(_ chunk: [UInt8]) -> String {
        switch machine.send(chunk, at: now) {
        case .send: "send"
        case .consumed: "consumed"
        case .rejected(let action): text(action)
        }
    }

    func transcript(_ words: String) -> String { text(machine.received(Self.transcript(words))) }

    func complete(_ words: String, usage: (Int64, Int64)? = nil, finish: FinishReason? = nil) -> String {
        complete(.text(Array(words.utf8), final: true), usage: usage, finish: finish)
    }

    func complete(transcript words: String, usage: (Int64, Int64)? = nil) -> String { complete(Self.transcript(words), usage: usage) }

    func complete(_ content: UpstreamEvent.Content, usage: (Int64, Int64)? = nil, finish: FinishReason? = nil) -> String {
        let summary = ResponseSummary(usage: usage.map { Usage(inputTokens: $0.0, outputTokens: $0.1) }, finish: finish)
        var timing = CallTiming()
        timing.queue = .nanoseconds(1)
        return text(machine.completed(content, summary, timing, at: now))
    }

    func fail(_ failure: CallFailure) -> String { text(machine.failed(failure, CallTiming(), at: now)) }

    func speechFailed(_ failure: CallFailure) -> String { text(machine.speechFailed(failure, CallTiming(), at: now)) }

    func speech(_ content: UpstreamEvent.Content) -> String {
        switch machine.speechReceived(content) {
        case .none: ""
        case .deliver(let content): text(content)
        case .reopen(let closing, let opening): "reopen \(closing.rate) \(opening.rate)"
        }
    }

    /// Returns all actions until the machine waits, and reports each sentence as started.
    func advance() -> [String] {
        var results: [String] = []
        while results.count < 100 {
            let result = next()
            if result.isEmpty { break }
            results.append(result)
            if result.hasPrefix("synthesize") { machine.sentenceStarted() }
        }
        return results
    }

    private static func transcript(_ words: String) -> UpstreamEvent.Content {
        .transcript(Array(words.utf8), final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil)
    }

    private func text(_ action: ChainStateMachine.Action) -> String {
        switch action {
        case .wait: return ""
        case .start(let stage, nil): return "start \(stage)"
        case .start(let stage, let request?):
            let only = request.output.text && !request.output.audio && machine.request.output.audio ? ", text only" : ""
            return switch request.input {
            case .text(let text): "start \(stage) text \(string(text))\(only)"
            case .recording(_, let bytes): "start \(stage) recording \(bytes.count)\(only)"
            case .audio: "start \(stage) audio\(only)"
            }
        case .endInput: return "end input"
        case .synthesize(let request):
            guard case .text(let text) = request.input, request.conversation.isEmpty else { return "?" }
            return "synthesize \(string(text))"
        case .deliver(let content): return text(content)
        case .finish(let content, let epilogue):
            queue = epilogue.timing?.queue ?? .zero
            var result = "finish \(text(content))"
            if let usage = epilogue.usage { result += ", usage \(usage.inputTokens) \(usage.outputTokens)" }
            if let finish = epilogue.finish { result += ", \(finish.rawValue)" }
            if let speech = epilogue.speech { result += ", speech \(speech.rawValue)" }
            if epilogue.correlationID != nil { result += ", id" }
            return result
        }
    }

    private func text(_ content: UpstreamEvent.Content) -> String {
        switch content {
        case .text(let text, let final): "text \(string(text))" + (final ? " final" : "")
        case .unsentText(let text): "unsent \(string(text))"
        case .transcript(let text, _, _, _, _): "transcript \(string(text))"
        case .audio: "audio"
        case .audioChunk(let chunk): "chunk \(chunk.count)"
        case .audioEnd: "audio end"
        case .sentence: "sentence"
        case .status(let status, _, _): "status \(status)"
        case .failure(let reason, let retryAfter, let isRetryable):
            "\(reason.code.rawValue) \(reason.message)" + (retryAfter.map { ", retry \($0)" } ?? "")
                + (isRetryable == false ? ", no retry" : "")
        }
    }

    private func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
