/// Deadlines, retries and limits of the calls to one upstream.
package struct CallPolicy: Sendable {
    package var timeouts = CallTimeouts.Policy()
    /// Attempts after the first.
    package var retries = 0
    /// Whether a request may be sent again although it may have reached the upstream.
    package var isRepeatable = false
    /// How long to wait for the start of a response before a second endpoint is tried as well; zero disables hedging.
    package var hedgeAfter = Instant.Duration.zero
    package var maxAnswerBytes = Int.max
    package var backoff = Backoff()

    package init() {}
}
