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
    init(_ fault: AnswerFault) {
        switch fault.kind {
        case .invalid: self = .invalid(fault.description)
        case .tooLong: self = .tooLong(fault.description)
        case .incomplete: self = .brokenOff(fault.description)
        case .unusable: self = .unusable(fault.description)
        }
    }

    /// A message of an answer that arrived whole and can't be used.
    static func unusable(_ fault: AnswerFault) -> CallFailure {
        var failure = CallFailure(fault)
        failure.outcome = .neither
        return failure
    }

    /// The answer has come whole: what is wrong with it isn't the connection's fault, nor another client's business.
    init(whole fault: AnswerFault) {
        self.init(fault.kind == .invalid ? AnswerFault(fault.description, kind: .unusable) : fault)
    }
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
            throw CallFailure(whole: error)
        }
    }

    static func read<Value>(_ text: RawSpan, _ body: (RawSpan) throws(AnswerFault) -> Value) throws(AnswerFault) -> Value {
        guard UTF8Validator.isValid(text) else { throw AnswerFault("the answer isn't UTF-8") }
        return try body(text)
    }
}

/// `http`: a JSON answer message, or a stream of them as server-sent events.
final class MessageAnswer: AnswerReader {
    private var stream = AnswerStream()
    private var body: AnswerBody
    private var isComplete = false

    init(limit: Int) { body = AnswerBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) { body.begin(isDeclaredStream: headers.isEventStream) }

    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        do throws(AnswerFault) {
            try body.take(bytes) { (data) throws(AnswerFault) in try take(event: data, pass) }
        } catch {
            throw CallFailure(error)
        }
    }

    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        guard !isComplete else { return }
        do throws(AnswerFault) {
            let whole = try body.end { (data) throws(AnswerFault) in
                // Without an empty line behind it, this may be half of an event.
                do throws(AnswerFault) { try take(event: data, pass) } catch {}
            }
            guard let whole else {
                guard isComplete else { throw AnswerFault("the stream ended without \"done\":true", kind: .incomplete) }
                return
            }
            var message = try CollectedBody.read(whole.span.bytes) { (bytes) throws(AnswerFault) in try AnswerMessage(bytes) }
            // There is no other.
            message.isDone = true
            if case .event(.text(let text, _)) = message.body { message.body = .event(.text(text, final: true)) }
            try take(message, pass)
        } catch {
            throw CallFailure(whole: error)
        }
    }

    private func take(event data: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(AnswerFault) {
        let data = data.extracting(data.trimmedRange)
        guard !isComplete, data.byteCount > 0 else { return }
        // As OpenAI's streams end, which many tools write by habit.
        if data.isText("[DONE]") { throw AnswerFault("the stream ends before the answer does") }
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
    private var stream: ChatStream
    private let now: () -> Instant

    /// - Parameter findsReasoningTags: `<think>…</think>` at the beginning of the content is reasoning
    init(limit: Int, findsReasoningTags: Bool, now: @escaping () -> Instant) {
        stream = ChatStream(limit: limit, findsReasoningTags: findsReasoningTags)
        self.now = now
    }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) { stream.begin(isDeclaredStream: headers.isEventStream) }

    func take(_ bytes: RawSpan, _ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        do throws(AnswerFault) {
            try stream.take(bytes, now: now(), pass)
        } catch {
            throw CallFailure(error)
        }
    }

    func end(_ pass: (AnswerStream.Step) -> Void) throws(CallFailure) {
        do throws(AnswerFault) {
            try stream.end(now: now(), pass)
        } catch {
            throw CallFailure(error)
        }
    }
}

extension HTTPHeaders {
    /// The `Content-Type` without its parameters, in lower case.
    var mediaType: String? {
        first(name: "Content-Type").map { field in
            String(field.prefix { $0 != ";" }).lowercased().filter { $0 != " " && $0 != "\t" }
        }
    }

    var isEventStream: Bool { mediaType == "text/event-stream" }

    var retryAfterMilliseconds: Int64? {
        first(name: "Retry-After").flatMap {
            RetryAfter.milliseconds($0, date: first(name: "Date"), now: LoopClock.wallMilliseconds())
        }
    }
}
