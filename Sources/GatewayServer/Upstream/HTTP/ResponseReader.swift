// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOHTTP1

/// An incremental parser for the body of one kind of HTTP response.
protocol ResponseReader: AnyObject {
    /// Receives the head of a response with status 2xx.
    func begin(_ headers: HTTPHeaders) throws(CallFailure)
    /// Parses the next bytes of the body.
    ///
    /// - Parameter emit: called with each parsed step, in order
    func receive(_ bytes: RawSpan, _ emit: (ResponseStream.Step) -> Void) throws(CallFailure)
    /// Handles the end of the body.
    func end(_ emit: (ResponseStream.Step) -> Void) throws(CallFailure)
}

extension CallFailure {
    init(_ fault: ResponseFault) {
        switch fault.kind {
        case .invalid: self = .invalid(fault.description)
        case .tooLong: self = .tooLong(fault.description)
        case .incomplete: self = .incompleteResponse(fault.description)
        case .unusable: self = .unusable(fault.description)
        }
    }

    /// The failure of a response message that is complete but can't be used.
    static func unusable(_ fault: ResponseFault) -> CallFailure {
        var failure = CallFailure(fault)
        failure.outcome = .neither
        return failure
    }

    /// The failure of a complete body. The breaker doesn't count an invalid body as a failure, since the request itself can cause it.
    init(ofCompleteBody fault: ResponseFault) {
        self.init(fault.kind == .invalid ? ResponseFault(fault.description, kind: .unusable) : fault)
    }
}

/// A response body that is buffered until it is complete, up to `max_message_bytes`.
struct CollectedBody {
    let limit: Int
    private(set) var bytes: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    mutating func receive(_ part: RawSpan) throws(CallFailure) {
        guard part.byteCount <= limit - bytes.count else { throw .tooLong("the body is longer than max_message_bytes") }
        bytes.append(bytesOf: part)
    }

    /// Calls `body` with the collected bytes. Throws unless they are valid UTF-8.
    func read<Value>(_ body: (RawSpan) throws(ResponseFault) -> Value) throws(CallFailure) -> Value {
        do throws(ResponseFault) {
            return try Self.read(bytes.span.bytes, body)
        } catch {
            throw CallFailure(ofCompleteBody: error)
        }
    }

    static func read<Value>(_ text: RawSpan, _ body: (RawSpan) throws(ResponseFault) -> Value) throws(ResponseFault) -> Value {
        guard UTF8Validator.isValid(text) else { throw ResponseFault("the response isn't UTF-8") }
        return try body(text)
    }
}

/// Parses responses of `http` upstreams: one JSON message, or several as server-sent events.
final class MessageResponseReader: ResponseReader {
    private var stream = ResponseStream()
    private var body: ResponseBody
    private var isComplete = false

    init(limit: Int) { body = ResponseBody(limit: limit) }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) { body.begin(isDeclaredStream: headers.isEventStream) }

    func receive(_ bytes: RawSpan, _ emit: (ResponseStream.Step) -> Void) throws(CallFailure) {
        do throws(ResponseFault) {
            try body.receive(bytes) { (data) throws(ResponseFault) in try receive(event: data, emit) }
        } catch {
            throw CallFailure(error)
        }
    }

    func end(_ emit: (ResponseStream.Step) -> Void) throws(CallFailure) {
        guard !isComplete else { return }
        do throws(ResponseFault) {
            let whole = try body.end { (data) throws(ResponseFault) in
                // No empty line terminates this event, so it may be incomplete.
                do throws(ResponseFault) { try receive(event: data, emit) } catch {}
            }
            guard let whole else {
                guard isComplete else { throw ResponseFault("the stream ended without \"done\":true", kind: .incomplete) }
                return
            }
            var message = try CollectedBody.read(whole.span.bytes) { (bytes) throws(ResponseFault) in try UpstreamMessage(bytes) }
            // A JSON body is a single message.
            message.isDone = true
            if case .event(.text(let text, _)) = message.body { message.body = .event(.text(text, final: true)) }
            try receive(message, emit)
        } catch {
            throw CallFailure(ofCompleteBody: error)
        }
    }

    private func receive(event data: RawSpan, _ emit: (ResponseStream.Step) -> Void) throws(ResponseFault) {
        let data = data.extracting(data.trimmedRange)
        guard !isComplete, data.byteCount > 0 else { return }
        // OpenAI's end-of-stream marker, which some servers send by habit.
        if data.isText("[DONE]") { throw ResponseFault("[DONE] came before \"done\":true") }
        try receive(try CollectedBody.read(data) { (bytes) throws(ResponseFault) in try UpstreamMessage(bytes) }, emit)
    }

    private func receive(_ message: UpstreamMessage, _ emit: (ResponseStream.Step) -> Void) throws(ResponseFault) {
        if case .chunk = message.body { throw ResponseFault("chunk messages aren't allowed over HTTP; audio belongs in data") }
        isComplete = message.isDone
        try stream.receive(message, emit)
    }
}

/// Parses responses of `openai` chat upstreams: a completion as JSON or as server-sent events.
final class ChatCompletionResponseReader: ResponseReader {
    private var stream: ChatStream
    private let now: () -> Instant

    /// - Parameter findsReasoningTags: whether `<think>…</think>` at the beginning of the content is reasoning
    init(limit: Int, findsReasoningTags: Bool, now: @escaping () -> Instant) {
        stream = ChatStream(limit: limit, findsReasoningTags: findsReasoningTags)
        self.now = now
    }

    func begin(_ headers: HTTPHeaders) throws(CallFailure) { stream.begin(isDeclaredStream: headers.isEventStream) }

    func receive(_ bytes: RawSpan, _ emit: (ResponseStream.Step) -> Void) throws(CallFailure) {
        do throws(ResponseFault) {
            try stream.receive(bytes, now: now(), emit)
        } catch {
            throw CallFailure(error)
        }
    }

    func end(_ emit: (ResponseStream.Step) -> Void) throws(CallFailure) {
        do throws(ResponseFault) {
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
