import GatewayCore
import NIOCore
import NIOHTTP1

/// An incremental parser for the body of one kind of HTTP response.
protocol AnswerReader: AnyObject {
    /// Receives the head of a response with status 2xx.
    func begin(_ headers: HTTPHeaders) throws(CallFailure)
    /// Parses the next bytes of the body.
    ///
    /// - Parameter emit: called with each parsed step, in order
    func take(_ bytes: RawSpan, _ emit: (AnswerStream.Step) -> Void) throws(CallFailure)
    /// Ends the body.
    func end(_ emit: (AnswerStream.Step) -> Void) throws(CallFailure)
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

    /// The failure of a response message that arrived complete but can't be used.
    static func unusable(_ fault: AnswerFault) -> CallFailure {
        var failure = CallFailure(fault)
        failure.outcome = .neither
        return failure
    }

    /// The failure of a complete body. An invalid body doesn't count for the breaker, since neither the connection nor the endpoint caused it.
    init(whole fault: AnswerFault) {
        self.init(fault.kind == .invalid ? AnswerFault(fault.description, kind: .unusable) : fault)
    }
}

/// A JSON body, buffered until it is complete; at most `max_message_bytes`.
struct CollectedBody {
    let limit: Int
    private(set) var bytes: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    mutating func take(_ part: RawSpan) throws(CallFailure) {
        guard part.byteCount <= limit - bytes.count else { throw .tooLong("the body is longer than max_message_bytes") }
        bytes.append(bytesOf: part)
    }

    /// Calls `body` with the collected bytes. Throws unless they are valid UTF-8.
    func read<Value>(_ body: (RawSpan) throws(AnswerFault) -> Value) throws(CallFailure) -> Value {
        do throws(AnswerFault) {
            return try Self.read(bytes.span.bytes, body)
        } catch {
            throw CallFailure(whole: error)
        }
    }

    static func read<Value>(_ text: RawSpan, _ body: (RawSpan) throws(AnswerFault) -> Value) throws(AnswerFault) -> Value {
        guard UTF8Validator.isValid(text) else { throw AnswerFault("the response isn't UTF-8") }
        return try body(text)
    }
}

/// Parses responses of `http` upstreams: one JSON message, or several as server-sent events.
final class MessageAnswer: AnswerReader {
    private var stream = AnswerStream()
    private var body: AnswerBody
    private var isComplete = false

    init(limit: Int) { body = AnswerBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) { body.begin(isDeclaredStream: headers.isEventStream) }

    func take(_ bytes: RawSpan, _ emit: (AnswerStream.Step) -> Void) throws(CallFailure) {
        do throws(AnswerFault) {
            try body.take(bytes) { (data) throws(AnswerFault) in try take(event: data, emit) }
        } catch {
            throw CallFailure(error)
        }
    }

    func end(_ emit: (AnswerStream.Step) -> Void) throws(CallFailure) {
        guard !isComplete else { return }
        do throws(AnswerFault) {
            let whole = try body.end { (data) throws(AnswerFault) in
                // No empty line terminates this event, so it may be incomplete.
                do throws(AnswerFault) { try take(event: data, emit) } catch {}
            }
            guard let whole else {
                guard isComplete else { throw AnswerFault("the stream ended without \"done\":true", kind: .incomplete) }
                return
            }
            var message = try CollectedBody.read(whole.span.bytes) { (bytes) throws(AnswerFault) in try AnswerMessage(bytes) }
            // A JSON body is a single message.
            message.isDone = true
            if case .event(.text(let text, _)) = message.body { message.body = .event(.text(text, final: true)) }
            try take(message, emit)
        } catch {
            throw CallFailure(whole: error)
        }
    }

    private func take(event data: RawSpan, _ emit: (AnswerStream.Step) -> Void) throws(AnswerFault) {
        let data = data.extracting(data.trimmedRange)
        guard !isComplete, data.byteCount > 0 else { return }
        // OpenAI's end of stream, which many tools send by habit.
        if data.isText("[DONE]") { throw AnswerFault("[DONE] came before \"done\":true") }
        try take(try CollectedBody.read(data) { (bytes) throws(AnswerFault) in try AnswerMessage(bytes) }, emit)
    }

    private func take(_ message: AnswerMessage, _ emit: (AnswerStream.Step) -> Void) throws(AnswerFault) {
        if case .chunk = message.body { throw AnswerFault("chunk messages aren't allowed over HTTP; audio belongs in data") }
        isComplete = message.isDone
        try stream.take(message, emit)
    }
}

/// Parses responses of `openai` chat upstreams: a completion as JSON or as server-sent events.
final class ChatCompletionAnswer: AnswerReader {
    private var stream: ChatStream
    private let now: () -> Instant

    /// - Parameter findsReasoningTags: whether `<think>…</think>` at the beginning of the content is reasoning
    init(limit: Int, findsReasoningTags: Bool, now: @escaping () -> Instant) {
        stream = ChatStream(limit: limit, findsReasoningTags: findsReasoningTags)
        self.now = now
    }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) { stream.begin(isDeclaredStream: headers.isEventStream) }

    func take(_ bytes: RawSpan, _ emit: (AnswerStream.Step) -> Void) throws(CallFailure) {
        do throws(AnswerFault) {
            try stream.take(bytes, now: now(), emit)
        } catch {
            throw CallFailure(error)
        }
    }

    func end(_ emit: (AnswerStream.Step) -> Void) throws(CallFailure) {
        do throws(AnswerFault) {
            try stream.end(now: now(), emit)
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
