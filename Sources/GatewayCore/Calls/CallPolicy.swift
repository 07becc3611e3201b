// SPDX-License-Identifier: Apache-2.0

/// Deadlines, retries and limits of the calls to one upstream.
package struct CallPolicy: Sendable {
    package var timeouts = CallTimeouts.Policy()
    /// The maximum number of attempts after the first.
    package var retries = 0
    /// Whether a request that may have reached the upstream may be sent again.
    package var isRepeatable = false
    /// The delay after which a hedge is sent to a second endpoint if no response has begun; zero disables hedging.
    package var hedgeAfter = Instant.Duration.zero
    /// The maximum size of a response in bytes: `max_answer_bytes`.
    package var maxAnswerBytes = Int.max
    package var backoff = Backoff()

    package init() {}
}
