/// Deadlines, retries and limits of the calls to one upstream.
package struct CallPolicy: Sendable {
    package var timeouts = CallTimeouts.Policy()
    /// Attempts after the first.
    package var retries = 0
    /// Whether a request may be sent again although it may have reached the upstream.
    package var isRepeatable = false
    /// The wait for the start of a response before another endpoint is asked as well; zero for never.
    package var hedgeAfter = Instant.Duration.zero
    package var maxAnswerBytes = Int.max
    package var backoff = Backoff()

    package init() {}
}
