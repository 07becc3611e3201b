// SPDX-License-Identifier: Apache-2.0

/// The durations of the phases of a call: `timing` in the message that ends a request.
package struct CallTiming: Sendable, Hashable {
    /// The time in the queue for a permit.
    package var queue = Instant.Duration.zero
    package var connect = Instant.Duration.zero
    /// The time from the open connection, or from the end of the audio, to the first content of the response.
    package var first = Instant.Duration.zero
    package var total = Instant.Duration.zero

    package init() {}

    /// Adds the timing of the next stage's call.
    package mutating func add(_ next: CallTiming) {
        queue += next.queue
        connect += next.connect
        if first == .zero { first = total + next.first }
        total += next.total
    }
}

/// The tokens used by a request, as reported by the upstream.
package struct Usage: Sendable, Hashable {
    package var inputTokens: Int64
    package var outputTokens: Int64

    package init(inputTokens: Int64, outputTokens: Int64) {
        self.inputTokens = inputTokens
        self.outputTokens = outputTokens
    }
}
