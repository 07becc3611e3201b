// SPDX-License-Identifier: Apache-2.0

/// The reason why a response ended: `finish` in the message that ends a request (protocol page, section "Responses").
package enum FinishReason: String, Sendable, Hashable, CaseIterable {
    /// The model completed the response.
    case stop
    /// The token limit truncated the response.
    case length
    /// A content filter truncated or withheld the response.
    case contentFilter = "content_filter"
    /// The model requested a tool call instead of, or after, a text.
    case toolCalls = "tool_calls"
    /// The response failed.
    case error

    /// Parses a server's `finish_reason`.
    ///
    /// Accepts the values of OpenAI, and those that OpenAI-compatible servers and proxies pass on from vLLM, Mistral, Anthropic, Gemini and
    /// DashScope.
    ///
    /// - Returns: nil for an empty value and for the string `null`, which some servers send in each chunk; ``stop`` for an unknown value
    package init?(server text: [UInt8]) {
        let reason = String(decoding: text, as: UTF8.self).lowercased().filter { $0 != " " }
        switch reason {
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

/// The usage and the finish reason of a response, as reported by the upstream with the last content.
package struct ResponseSummary: Sendable, Hashable {
    package var usage: Usage?
    /// Nil if the upstream doesn't report a reason.
    package var finish: FinishReason?

    package init(usage: Usage? = nil, finish: FinishReason? = nil) {
        self.usage = usage
        self.finish = finish
    }
}
