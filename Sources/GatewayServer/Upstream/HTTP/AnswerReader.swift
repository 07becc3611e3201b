import GatewayCore
import NIOCore
import NIOHTTP1

/// Understands the body of one kind of HTTP answer as its bytes come.
protocol AnswerReader: AnyObject {
    /// The head of an answer with a status of 2xx.
    func begin(_ headers: HTTPHeaders) throws(CallFailure)
    /// - Parameter pass: is handed what the bytes come to, in order
    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure)
    /// The body has ended.
    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure)
}

extension CallFailure {
    init(_ fault: AnswerFault) { self = fault.isTooLong ? .tooLong(fault.description) : .invalid(fault.description) }
}

/// A JSON body, kept until it is whole: no longer than `max_message_bytes`.
struct CollectedBody {
    let limit: Int
    private(set) var bytes: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    mutating func take(_ part: RawSpan) throws(CallFailure) {
        guard part.byteCount <= limit - bytes.count else { throw .tooLong("the body is longer than max_message_bytes") }
        bytes.append(bytesOf: part)
    }

    /// Lends the body, which has to be UTF-8.
    func read<Value>(_ body: (RawSpan) throws(AnswerFault) -> Value) throws(CallFailure) -> Value {
        do throws(AnswerFault) {
            return try Self.read(bytes.span.bytes, body)
        } catch {
            throw CallFailure(error)
        }
    }

    static func read<Value>(_ text: RawSpan, _ body: (RawSpan) throws(AnswerFault) -> Value) throws(AnswerFault) -> Value {
        var validator = UTF8Validator()
        guard validator.accept(text), validator.isComplete else { throw AnswerFault("the answer isn't UTF-8") }
        return try body(text)
    }
}

/// A body that is either JSON, or a stream of server-sent events, as its `Content-Type` says.
struct StreamedBody {
    private(set) var whole: CollectedBody
    private var events: ServerSentEvents?

    init(limit: Int) { whole = CollectedBody(limit: limit) }

    var isStream: Bool { events != nil }

    mutating func begin(_ headers: HTTPHeaders) throws(CallFailure) {
        switch headers.mediaType {
        case "text/event-stream": events = ServerSentEvents(limit: whole.limit)
        case "application/json": break
        default: throw .invalid("the answer is neither application/json nor text/event-stream")
        }
    }

    /// - Parameter event: is handed the data of each event; not called for JSON, which is kept
    mutating func take(_ bytes: RawSpan, _ event: (RawSpan) throws(AnswerFault) -> Void) throws(CallFailure) {
        guard isStream else { return try whole.take(bytes) }
        do throws(AnswerFault) {
            try events?.take(bytes, event)
        } catch {
            throw CallFailure(error)
        }
    }
}

/// `http`: a JSON answer message, or a stream of them as server-sent events.
final class MessageAnswer: AnswerReader {
    private var stream = AnswerStream()
    private var body: StreamedBody
    private var isComplete = false

    init(limit: Int) { body = StreamedBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) { try body.begin(headers) }

    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        try body.take(bytes) { (data) throws(AnswerFault) in
            // As OpenAI's streams end, which many tools write by habit.
            guard !isComplete else { return }
            if data.isDone { throw AnswerFault("the stream ends before the answer does") }
            try read(data, pass)
        }
    }

    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        guard !isComplete else { return }
        guard !body.isStream else { throw .brokenOff("the stream ended without \"done\":true") }
        try body.whole.read { (bytes) throws(AnswerFault) in
            var message = try AnswerMessage(bytes)
            // There is no other.
            message.isDone = true
            if case .event(.text(let text, _)) = message.body { message.body = .event(.text(text, final: true)) }
            try take(message, pass)
        }
    }

    private func read(_ data: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(AnswerFault) {
        try take(try CollectedBody.read(data) { (bytes) throws(AnswerFault) in try AnswerMessage(bytes) }, pass)
    }

    private func take(_ message: AnswerMessage, _ pass: (AnswerStream.Step) -> Void) throws(AnswerFault) {
        if case .chunk = message.body { throw AnswerFault("an HTTP answer has its audio in data") }
        isComplete = message.isDone
        try stream.take(message, pass)
    }
}

/// `openai`, chat: a completion, whole or as server-sent events.
final class ChatCompletionAnswer: AnswerReader {
    private var body: StreamedBody
    private var usage: Usage?
    /// The choice has its finish reason, or the stream said `[DONE]`.
    private var isFinished = false
    private var isDone = false

    init(limit: Int) { body = StreamedBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) { try body.begin(headers) }

    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        try body.take(bytes) { (data) throws(AnswerFault) in
            guard !isDone else { return }
            if data.isDone { return finish(pass) }
            let chunk = try CollectedBody.read(data) { (bytes) throws(AnswerFault) in try ChatAnswer(bytes) }
            if chunk.isError {
                isDone = true
                return pass(.failed(retryable: nil, retryAfterMilliseconds: nil))
            }
            usage = chunk.usage ?? usage
            if chunk.isFinished { isFinished = true }
            if let text = chunk.text, !text.isEmpty { pass(.event(.text(text, final: false))) }
        }
    }

    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        guard !isDone else { return }
        guard !body.isStream else {
            // Not every server says `[DONE]`.
            guard isFinished else { throw .brokenOff("the stream ended without a finish_reason") }
            return finish(pass)
        }
        let completion = try body.whole.read { (bytes) throws(AnswerFault) in try ChatAnswer(bytes) }
        guard !completion.isError else { return pass(.failed(retryable: nil, retryAfterMilliseconds: nil)) }
        guard let text = completion.text else { throw .invalid("the completion has no content") }
        pass(.last(.text(text, final: true), completion.usage))
    }

    private func finish(_ pass: (AnswerStream.Step) -> Void) {
        isDone = true
        pass(.last(.text([], final: true), usage))
    }
}

/// `openai`, transcription: `{"text":"…"}`.
final class TranscriptAnswer: AnswerReader {
    private var body: CollectedBody

    init(limit: Int) { body = CollectedBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) {
        guard headers.mediaType == "application/json" else { throw .invalid("the answer isn't application/json") }
    }

    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure) { try body.take(bytes) }

    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        let answer = try body.read { (bytes) throws(AnswerFault) in try TranscriptionAnswer(bytes) }
        // Whisper's begin with a blank.
        let text = Array(answer.text.drop { $0 <= 0x20 })
        pass(.last(.transcript(text, final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil), nil))
    }
}

/// `openai`, speech: a WAV file as it comes.
final class SpeechAnswer: AnswerReader {
    private var wav = WAVStream()
    private var hasBegun = false

    func begin(_ headers: HTTPHeaders) throws(CallFailure) {
        guard let type = headers.mediaType, type.hasPrefix("audio/") || type == "application/octet-stream" else {
            throw .invalid("the answer isn't audio")
        }
    }

    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        let samples: [UInt8]
        do throws(AnswerFault) {
            samples = try wav.take(bytes)
        } catch {
            throw CallFailure(error)
        }
        guard let format = wav.format else { return }
        if !hasBegun {
            hasBegun = true
            pass(.event(.audio(format)))
        }
        AnswerStream.cut(samples, format: format) { pass(.event(.audioChunk($0))) }
    }

    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        guard let format = wav.format, !wav.isCut else { throw .brokenOff("the WAV file ends before its samples do") }
        pass(.last(.audioEnd(format), nil))
    }
}

extension RawSpan {
    /// `[DONE]`, which ends streams of OpenAI.
    fileprivate var isDone: Bool {
        guard byteCount == 6 else { return false }
        return withUnsafeBytes { $0.elementsEqual("[DONE]".utf8) }
    }
}

extension HTTPHeaders {
    /// The `Content-Type` without its parameters, in lower case.
    var mediaType: String? {
        first(name: "Content-Type").map { field in
            String(field.prefix { $0 != ";" }).lowercased().filter { $0 != " " && $0 != "\t" }
        }
    }

    var retryAfterMilliseconds: Int64? {
        first(name: "Retry-After").flatMap {
            RetryAfter.milliseconds($0, date: first(name: "Date"), now: LoopClock.wallMilliseconds())
        }
    }
}
