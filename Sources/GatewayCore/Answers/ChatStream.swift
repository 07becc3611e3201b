/// An incremental parser for responses of OpenAI-compatible chat servers: a completion as JSON or as server-sent events.
///
/// Strict about the end: a stream without `finish_reason` is incomplete, and `[DONE]` alone isn't a response. Lenient where official clients are:
/// empty events, pings, `choices: null`, white space around `[DONE]`, a missing `Content-Type`.
package struct ChatStream: Sendable {
    private var body: AnswerBody
    private var joiner = SurrogateJoiner()
    /// Nil where `<think>` tags are part of the text.
    private var tags: ReasoningTags?
    private var signal = ReasoningSignal()
    private var summary = AnswerSummary()
    private var hasChoice = false
    private var hasText = false
    private var isEnded = false

    /// - Parameters:
    ///   - limit: maximum size of the JSON object or of one event, in bytes
    ///   - findsReasoningTags: whether `<think>…</think>` at the beginning of the content is reasoning
    package init(limit: Int, findsReasoningTags: Bool) {
        body = AnswerBody(limit: limit)
        tags = findsReasoningTags ? ReasoningTags() : nil
    }

    /// Begins the response.
    ///
    /// - Parameter isDeclaredStream: whether the `Content-Type` is `text/event-stream`
    package mutating func begin(isDeclaredStream: Bool) { body.begin(isDeclaredStream: isDeclaredStream) }

    /// Parses the next bytes of the body.
    ///
    /// - Parameter emit: called with each parsed step, in order
    package mutating func take(_ bytes: RawSpan, now: Instant, _ emit: (AnswerStream.Step) -> Void) throws(AnswerFault) {
        // Moved out instead of copied: the closure mutates the rest of `self`.
        var body = AnswerBody(limit: 0)
        swap(&body, &self.body)
        defer { self.body = body }
        try body.take(bytes) { (data) throws(AnswerFault) in try take(event: data, now: now, emit) }
    }

    /// Ends the body.
    package mutating func end(now: Instant, _ emit: (AnswerStream.Step) -> Void) throws(AnswerFault) {
        guard !isEnded else { return }
        var isCut = false
        var body = AnswerBody(limit: 0)
        swap(&body, &self.body)
        let whole = try body.end { (data) throws(AnswerFault) in
            // No empty line terminates this event, so it may be incomplete.
            do throws(AnswerFault) { try take(event: data, now: now, emit) } catch { isCut = true }
        }
        guard !isEnded else { return }
        guard let whole else {
            // Not every server sends `[DONE]`.
            guard summary.finish != nil, !isCut else {
                throw AnswerFault("the stream ended without a finish_reason", kind: .incomplete)
            }
            return finish(emit)
        }
        // `UInt8` has no padding that could be read.
        let completion = try Self.chunk(unsafe whole.span.bytes, isWhole: true)
        guard !completion.isError else { return fail(completion, emit) }
        guard completion.hasChoice else { throw AnswerFault("the completion has no choice", kind: .unusable) }
        summary = AnswerSummary(usage: completion.usage, finish: completion.finish)
        let text = text(of: completion, now: now) { _ in }
        isEnded = true
        emit(.last(.text(text + rest(), final: true), summary))
    }

    private static func chunk(_ bytes: RawSpan, isWhole: Bool) throws(AnswerFault) -> ChatChunk {
        guard UTF8Validator.isValid(bytes) else { throw AnswerFault("the response isn't UTF-8", kind: isWhole ? .unusable : .invalid) }
        do throws(AnswerFault) {
            return try ChatChunk(bytes)
        } catch {
            guard isWhole, error.kind == .invalid else { throw error }
            throw AnswerFault(error.description, kind: .unusable)
        }
    }

    private mutating func take(event data: RawSpan, now: Instant, _ emit: (AnswerStream.Step) -> Void) throws(AnswerFault) {
        guard !isEnded else { return }
        let data = data.extracting(data.trimmedRange)
        guard data.byteCount > 0 else { return }
        if data.isText("[DONE]") {
            guard hasChoice else { throw AnswerFault("[DONE] came before any choice", kind: .incomplete) }
            return finish(emit)
        }
        let chunk = try Self.chunk(data, isWhole: false)
        guard !chunk.isError else { return fail(chunk, emit) }
        summary.usage = chunk.usage ?? summary.usage
        summary.finish = chunk.finish ?? summary.finish
        guard chunk.hasChoice else { return }
        hasChoice = true
        // A complete completion after the deltas repeats their text.
        guard !chunk.isWhole || !hasText else { return }
        let text = text(of: chunk, now: now) { emit(.event(.status("thinking", progress: nil, bytes: $0))) }
        guard !text.isEmpty else { return }
        hasText = true
        emit(.event(.text(text, final: false)))
    }

    private mutating func text(of chunk: ChatChunk, now: Instant, _ onReasoning: (Int) -> Void) -> [UInt8] {
        var reasoning = chunk.reasoningBytes
        var text = joiner.join(chunk.text, chunk.halves)
        if let found = tags?.take(text) {
            text = found.answer
            reasoning += found.reasoningBytes
        }
        if let bytes = signal.add(reasoning, now: now) { onReasoning(bytes) }
        return text
    }

    /// Returns the rest of the text, which was held back.
    private mutating func rest() -> [UInt8] {
        let half = joiner.finish()
        guard var tags else { return half }
        return tags.take(half).answer + tags.finish()
    }

    private mutating func finish(_ emit: (AnswerStream.Step) -> Void) {
        isEnded = true
        emit(.last(.text(rest(), final: true), summary))
    }

    private mutating func fail(_ chunk: ChatChunk, _ emit: (AnswerStream.Step) -> Void) {
        isEnded = true
        emit(.failed(retryable: chunk.isRequestRefused ? false : nil, retryAfterMilliseconds: nil))
    }
}

extension RawSpan {
    /// The bytes without white space at both ends.
    package var trimmedRange: Range<Int> {
        var (start, end) = (0, byteCount)
        while start < end, byte(at: start) <= 0x20 { start &+= 1 }
        while end > start, byte(at: end &- 1) <= 0x20 { end &-= 1 }
        return start..<end
    }

    package func isText(_ text: StaticString) -> Bool {
        guard byteCount == text.utf8CodeUnitCount else { return false }
        // Below the literal's own count; literals live as long as the process.
        return (0..<byteCount).allSatisfy { unsafe byte(at: $0) == text.utf8Start[$0] }
    }
}
