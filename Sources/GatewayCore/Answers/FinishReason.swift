/// Why an answer ended: `finish` of the message that ends a request (protocol page, section "Answers").
package enum FinishReason: String, Sendable, Hashable, CaseIterable {
    /// The model had said everything.
    case stop
    /// The server's limit of tokens cut the answer.
    case length
    /// A content filter cut or withheld the answer.
    case contentFilter = "content_filter"
    /// The model asks for a tool in place of an answer, or behind it.
    case toolCalls = "tool_calls"
    /// The answer failed.
    case error

    /// Reads a server's `finish_reason`.
    ///
    /// Besides OpenAI's words, those of servers behind OpenAI-compatible proxies are known: vLLM, Mistral, Anthropic, Gemini, DashScope.
    ///
    /// - Returns: nil for an empty one and for the text `null`, which some servers write in each chunk; ``stop`` for an unknown one.
    package init?(server text: [UInt8]) {
        let word = String(decoding: text, as: UTF8.self).lowercased().filter { $0 != " " }
        switch word {
        case "", "null", "none": return nil
        case "length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded": self = .length
        case "content_filter", "safety", "recitation", "refusal", "prohibited_content", "blocklist", "spii", "sensitive":
            self = .contentFilter
        case "tool_calls", "function_call", "tool_use", "tool_call": self = .toolCalls
        case "error", "abort", "network_error", "malformed_function_call": self = .error
        default: self = .stop
        }
    }
}

/// Usage and reason of the end, as the upstream reports them with the last content of an answer.
package struct AnswerSummary: Sendable, Hashable {
    package var usage: Usage?
    /// Nil where the upstream doesn't say.
    package var finish: FinishReason?

    package init(usage: Usage? = nil, finish: FinishReason? = nil) {
        self.usage = usage
        self.finish = finish
    }
}
