// SPDX-License-Identifier: Apache-2.0

/// One JSON object of an OpenAI-compatible chat server: a chunk of a streamed completion, a complete completion, an error, or an object
/// without choices.
///
/// Servers differ in the fields that they send. Missing, `null` and unknown fields are ignored.
struct ChatChunk: Sendable {
    /// The `content` of the first choice, or its `rejection` if the content is empty.
    var text: [UInt8] = []
    /// The lone surrogates at the ends of the content.
    var halves = SurrogateJoiner.Halves()
    /// The size of the first choice's reasoning in bytes.
    var reasoningBytes = 0
    /// Whether there is a choice, even an empty one.
    var hasChoice = false
    /// Whether the choice has a complete `message` instead of a `delta`.
    var isWhole = false
    var finish: FinishReason?
    var usage: Usage?
    /// Whether the object is an error.
    var isError = false
    /// Whether the error is about the request, so that a retry would fail, too.
    var isRequestRejected = false

    private static let reasoningFields: [StaticString] = ["reasoning_content", "reasoning", "reasoning_text", "thinking"]

    /// - Parameter json: one JSON object, valid UTF-8
    init(_ json: RawSpan) throws(ResponseFault) {
        let document = try JSONDocument(json)
        guard !Self.isError(document) else {
            isError = true
            isRequestRejected = Self.isRequestRejected(document)
            return
        }
        if let usage = document.field("usage"), usage.kind == .object {
            self.usage = Usage(
                inputTokens: document.count(document.field("prompt_tokens", of: usage)) ?? 0,
                outputTokens: document.count(document.field("completion_tokens", of: usage)) ?? 0)
        }
        guard let choices = document.field("choices") else { return }
        guard choices.kind == .array else { throw ResponseFault("choices isn't an array") }
        guard let choice = document.first(of: choices), choice.kind == .object else { return }
        hasChoice = true
        if let reason = document.text(document.field("finish_reason", of: choice)) { finish = FinishReason(server: reason) }
        let message = document.field("message", of: choice)
        isWhole = message != nil
        guard let message = document.field("delta", of: choice) ?? message else {
            // The legacy completions API has `text` instead of a message.
            if let text = document.field("text", of: choice) { try parse(text, document) }
            return
        }
        // Some servers send the same reasoning in two fields, so the maximum counts.
        reasoningBytes = Self.reasoningFields.reduce(0) { most, name in
            max(most, document.field(name, of: message).flatMap { $0.kind == .string ? $0.count : nil } ?? 0)
        }
        if let content = document.field("content", of: message) { try parse(content, document) }
        if text.isEmpty, let rejection = document.field("refusal", of: message), rejection.kind == .string {
            try parse(rejection, document)
        }
    }

    /// Returns whether the object is an error: OpenAI's `error` (an object or a string), `"object":"error"` (vLLM before 0.10) or
    /// `"type":"error"` (Anthropic).
    private static func isError(_ document: JSONDocument) -> Bool {
        if let error = document.field("error"), error.kind == .object || (error.kind == .string && error.count > 0) { return true }
        guard document.field("choices") == nil else { return false }
        return document.isText(document.field("object"), "error") || document.isText(document.field("type"), "error")
    }

    /// Returns whether an error is about the request: the error types of OpenAI and vLLM, and every 4xx status except those for
    /// credentials, timeouts and load.
    private static func isRequestRejected(_ document: JSONDocument) -> Bool {
        let error = document.field("error").flatMap { $0.kind == .object ? $0 : nil }
        func field(_ name: StaticString) -> JSONValue? { error.map { document.field(name, of: $0) } ?? document.field(name) }
        if document.isText(field("type"), "invalid_request_error") || document.isText(field("type"), "BadRequestError") { return true }
        guard let status = document.unsigned(field("code")) ?? document.unsigned(field("status")) else { return false }
        return (400...499).contains(status) && ![401, 403, 408, 429].contains(status)
    }

    /// Parses content: a string, or a list of parts whose type is `text`, or `thinking` for reasoning (Mistral's Magistral).
    private mutating func parse(_ content: JSONValue, _ document: JSONDocument) throws(ResponseFault) {
        switch content.kind {
        case .string:
            text = document.text(content) ?? []
            halves = document.halves(of: content)
        case .array: document.eachElement(of: content) { parse(part: $0, document) }
        case .object: parse(part: content, document)
        default: throw ResponseFault("content is neither a string nor a list of parts")
        }
    }

    private mutating func parse(part: JSONValue, _ document: JSONDocument) {
        if part.kind == .string {
            text += document.text(part) ?? []
            return
        }
        let type = document.field("type", of: part)
        if document.isText(type, "thinking") || document.isText(type, "reasoning") {
            // The nesting of the text varies, so the size of the whole part is counted.
            reasoningBytes += part.rawCount
        } else if let text = document.text(document.field("text", of: part)) {
            self.text += text
        } else if let rejection = document.text(document.field("refusal", of: part)) {
            text += rejection
        }
    }
}
