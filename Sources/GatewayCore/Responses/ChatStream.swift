// SPDX-License-Identifier: Apache-2.0

/// An incremental parser for responses of OpenAI-compatible chat servers: a completion as JSON or as server-sent events.
///
/// The parser is strict about the end: a stream that ends with neither `finish_reason` nor `[DONE]` is incomplete, and `[DONE]` alone isn't
/// a response. The parser is as lenient as official clients about empty events, pings, `choices: null`, white space around `[DONE]`, and a
/// missing `Content-Type`.
package struct ChatStream: Sendable {
    private var body: ResponseBody
    private var joiner = SurrogateJoiner()
    /// The parser for `<think>` tags; nil if tags are part of the text.
    private var tags: ReasoningTags?
    private var throttle = ReasoningThrottle()
    private var summary = ResponseSummary()
    private var hasChoice = false
    private var hasText = false
    private var isEnded = false

    /// - Parameters:
    ///   - limit: the maximum size of the JSON object or of one event in bytes
    ///   - findsReasoningTags: whether `<think>…</think>` at the beginning of the content is reasoning
    package init(limit: Int, findsReasoningTags: Bool) {
        body = ResponseBody(limit: limit)
        tags = findsReasoningTags ? ReasoningTags() : nil
    }

    /// Begins the response.
    ///
    /// - Parameter isDeclaredStream: whether the `Content-Type` is `text/event-stream`
    package mutating func begin(isDeclaredStream: Bool) { body.begin(isDeclaredStream: isDeclaredStream) }

    /// Parses the next bytes of the body.
    ///
    /// - Parameter emit: called with each parsed step, in order
    package mutating func receive(_ bytes: RawSpan, now: Instant, _ emit: (ResponseStream.Step) -> Void) throws(ResponseFault) {
        // `body` is moved out, because the closure mutates the rest of `self`; a copy would duplicate its buffers.
        var body = ResponseBody(limit: 0)
        swap(&body, &self.body)
        defer { self.body = body }
        try body.receive(bytes) { (data) throws(ResponseFault) in try receive(event: data, now: now, emit) }
    }

    /// Ends the body, and emits the last step unless it was emitted before.
    package mutating func end(now: Instant, _ emit: (ResponseStream.Step) -> Void) throws(ResponseFault) {
        guard !isEnded else { return }
        var isCut = false
        var body = ResponseBody(limit: 0)
        swap(&body, &self.body)
        let whole = try body.end { (data) throws(ResponseFault) in
            // No empty line terminates this event, so it may be incomplete.
            do throws(ResponseFault) { try receive(event: data, now: now, emit) } catch { isCut = true }
        }
        guard !isEnded else { return }
        guard let whole else {
            // Not every server sends `[DONE]`.
            guard summary.finish != nil, !isCut else {
                throw ResponseFault("the stream ended without a finish_reason", kind: .incomplete)
            }
            return finish(emit)
        }
        // `UInt8` has no padding that could be read.
        let completion = try Self.chunk(unsafe whole.span.bytes, isWhole: true)
        guard !completion.isError else { return fail(completion, emit) }
        guard completion.hasChoice else { throw ResponseFault("the completion has no choice", kind: .unusable) }
        summary = ResponseSummary(usage: completion.usage, finish: completion.finish)
        let text = text(of: completion, now: now) { _ in }
        isEnded = true
        emit(.last(.text(text + rest(), final: true), summary))
    }

    private static func chunk(_ bytes: RawSpan, isWhole: Bool) throws(ResponseFault) -> ChatChunk {
        guard UTF8Validator.isValid(bytes) else { throw ResponseFault("the response isn't UTF-8", kind: isWhole ? .unusable : .invalid) }
        do throws(ResponseFault) {
            return try ChatChunk(bytes)
        } catch {
            guard isWhole, error.kind == .invalid else { throw error }
            throw ResponseFault(error.description, kind: .unusable)
        }
    }

    private mutating func receive(event data: RawSpan, now: Instant, _ emit: (ResponseStream.Step) -> Void) throws(ResponseFault) {
        guard !isEnded else { return }
        let data = data.extracting(data.trimmedRange)
        guard data.byteCount > 0 else { return }
        if data.isText("[DONE]") {
            guard hasChoice else { throw ResponseFault("[DONE] came before any choice", kind: .incomplete) }
            return finish(emit)
        }
        let chunk = try Self.chunk(data, isWhole: false)
        guard !chunk.isError else { return fail(chunk, emit) }
        summary.usage = chunk.usage ?? summary.usage
        summary.finish = chunk.finish ?? summary.finish
        guard chunk.hasChoice else { return }
        hasChoice = true
        // A complete completion after the deltas only repeats their text.
        guard !chunk.isWhole || !hasText else { return }
        let text = text(of: chunk, now: now) { emit(.event(.status("thinking", progress: nil, bytes: $0))) }
        guard !text.isEmpty else { return }
        hasText = true
        emit(.event(.text(text, final: false)))
    }

    private mutating func text(of chunk: ChatChunk, now: Instant, _ onReasoning: (Int) -> Void) -> [UInt8] {
        var reasoning = chunk.reasoningBytes
        var text = joiner.join(chunk.text, chunk.halves)
        if let found = tags?.receive(text) {
            text = found.response
            reasoning += found.reasoningBytes
        }
        if let bytes = throttle.add(reasoning, now: now) { onReasoning(bytes) }
        return text
    }

    /// Returns the text that was held back.
    private mutating func rest() -> [UInt8] {
        let half = joiner.finish()
        guard var tags else { return half }
        return tags.receive(half).response + tags.finish()
    }

    private mutating func finish(_ emit: (ResponseStream.Step) -> Void) {
        isEnded = true
        emit(.last(.text(rest(), final: true), summary))
    }

    private mutating func fail(_ chunk: ChatChunk, _ emit: (ResponseStream.Step) -> Void) {
        isEnded = true
        emit(.failed(retryable: chunk.isRequestRejected ? false : nil, retryAfterMilliseconds: nil))
    }
}

extension RawSpan {
    /// The range of the bytes without white space at both ends.
    package var trimmedRange: Range<Int> {
        var (start, end) = (0, byteCount)
        while start < end, byte(at: start) <= 0x20 { start &+= 1 }
        while end > start, byte(at: end &- 1) <= 0x20 { end &-= 1 }
        return start..<end
    }

    package func isText(_ text: StaticString) -> Bool {
        guard byteCount == text.utf8CodeUnitCount else { return false }
        // Within the literal's count; literals live as long as the process.
        return (0..<byteCount).allSatisfy { unsafe byte(at: $0) == text.utf8Start[$0] }
    }
}
