/// The time that a call took: `timing` of the message that ends a request.
package struct CallTiming: Sendable, Hashable {
    /// In the queue for a permit.
    package var queue = Instant.Duration.zero
    package var connect = Instant.Duration.zero
    /// From the connection, or the end of the audio, to the first content of the response.
    package var first = Instant.Duration.zero
    package var total = Instant.Duration.zero

    package init() {}

    /// Adds the call of the next stage.
    package mutating func add(_ next: CallTiming) {
        queue += next.queue
        connect += next.connect
        if first == .zero { first = total + next.first }
        total += next.total
    }
}

/// Tokens that a response has used, as the upstream counts them.
package struct Usage: Sendable, Hashable {
    package var inputTokens: Int64
    package var outputTokens: Int64

    package init(inputTokens: Int64, outputTokens: Int64) {
        self.inputTokens = inputTokens
        self.outputTokens = outputTokens
    }
}
