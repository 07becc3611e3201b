/// What a call took, in nanoseconds: `timing` of the message that ends a request.
package struct CallTiming: Sendable, Hashable {
    /// In the waiting line.
    package var queue: Int64 = 0
    package var connect: Int64 = 0
    /// From the connection, or the end of the audio, to the first of the answer that a client is told.
    package var first: Int64 = 0
    package var total: Int64 = 0

    package init() {}

    /// One call after another.
    package mutating func add(_ next: CallTiming) {
        queue += next.queue
        connect += next.connect
        if first == 0 { first = total + next.first }
        total += next.total
    }
}

/// What an answer has used up, as the upstream counts it.
package struct Usage: Sendable, Hashable {
    package var inputTokens: Int64
    package var outputTokens: Int64

    package init(inputTokens: Int64, outputTokens: Int64) {
        self.inputTokens = inputTokens
        self.outputTokens = outputTokens
    }
}
