/// One JSON object of an OpenAI-compatible chat server: a chunk of a streamed completion, a whole completion, or something beside them.
///
/// Servers differ in the fields that they send. A field that is missing, `null` or unknown makes no difference.
struct ChatChunk: Sendable {
    /// The content of the first choice, or the refusal in its place.
    var text: [UInt8] = []
    var halves = SurrogateJoiner.Halves()
    /// Bytes of the first choice's reasoning.
    var reasoningBytes = 0
    /// There is a choice, even one that says nothing.
    var hasChoice = false
    /// The choice has a `message`, the whole of an answer, and not a `delta`.
    var isWhole = false
    var finish: FinishReason?
    var usage: Usage?
    /// An error in place of a completion.
    var isError = false
    /// The error is about the request: the same request would fail again.
    var isRequestRefused = false

    private static let reasoningFields: [StaticString] = ["reasoning_content", "reasoning", "reasoning_text", "thinking"]

    /// - Parameter json: one JSON object, valid UTF-8
    init(_ json: RawSpan) throws(AnswerFault) {
        let document = try JSONDocument(json)
        guard !Self.isError(document) else {
            isError = true
            isRequestRefused = Self.isRequestRefused(document)
            return
        }
        if let usage = document.field("usage"), usage.kind == .object {
            self.usage = Usage(
                inputTokens: document.count(document.field("prompt_tokens", of: usage)) ?? 0,
                outputTokens: document.count(document.field("completion_tokens", of: usage)) ?? 0)
        }
        guard let choices = document.field("choices") else { return }
        guard choices.kind == .array else { throw AnswerFault("choices isn't an array") }
        guard let choice = document.first(of: choices), choice.kind == .object else { return }
        hasChoice = true
        if let reason = document.text(document.field("finish_reason", of: choice)) { finish = FinishReason(server: reason) }
        let message = document.field("message", of: choice)
        isWhole = message != nil
        guard let message = document.field("delta", of: choice) ?? message else {
            // As completions were before there were chats.
            if let text = document.field("text", of: choice) { try take(text, document) }
            return
        }
        // Some servers send the same under two names.
        reasoningBytes = Self.reasoningFields.reduce(0) { most, name in
            max(most, document.field(name, of: message).flatMap { $0.kind == .string ? $0.count : nil } ?? 0)
        }
        if let content = document.field("content", of: message) { try take(content, document) }
        if text.isEmpty, let refusal = document.field("refusal", of: message), refusal.kind == .string { try take(refusal, document) }
    }

    /// OpenAI's `error`, an object or a text; `"object":"error"` of vLLM before 0.10; `"type":"error"` of Anthropic.
    private static func isError(_ document: JSONDocument) -> Bool {
        if let error = document.field("error"), error.kind == .object || (error.kind == .string && error.count > 0) { return true }
        guard document.field("choices") == nil else { return false }
        return document.isText(document.field("object"), "error") || document.isText(document.field("type"), "error")
    }

    /// By OpenAI's `type` of an error, vLLM's, or a status among 4xx that says nothing of credentials, time and load.
    private static func isRequestRefused(_ document: JSONDocument) -> Bool {
        let error = document.field("error").flatMap { $0.kind == .object ? $0 : nil }
        func field(_ name: StaticString) -> JSONValue? { error.map { document.field(name, of: $0) } ?? document.field(name) }
        if document.isText(field("type"), "invalid_request_error") || document.isText(field("type"), "BadRequestError") { return true }
        guard let status = document.unsigned(field("code")) ?? document.unsigned(field("status")) else { return false }
        return (400...499).contains(status) && ![401, 403, 408, 429].contains(status)
    }

    /// A text, or a list of parts of which those of type `text` are the answer's, and `thinking` ones reasoning (Mistral's Magistral).
    private mutating func take(_ content: JSONValue, _ document: JSONDocument) throws(AnswerFault) {
        switch content.kind {
        case .string:
            text = document.text(content) ?? []
            halves = document.halves(of: content)
        case .array: document.eachElement(of: content) { take(part: $0, document) }
        case .object: take(part: content, document)
        default: throw AnswerFault("content is neither text nor a list of parts")
        }
    }

    private mutating func take(part: JSONValue, _ document: JSONDocument) {
        if part.kind == .string {
            text += document.text(part) ?? []
            return
        }
        let type = document.field("type", of: part)
        if document.isText(type, "thinking") || document.isText(type, "reasoning") {
            // Its own text is nested in several ways, and nobody reads it.
            reasoningBytes += part.rawCount
        } else if let text = document.text(document.field("text", of: part)) {
            self.text += text
        } else if let refusal = document.text(document.field("refusal", of: part)) {
            text += refusal
        }
    }
}
