package import GatewayCore

/// How calls to an upstream are made.
package struct CallPolicy: Sendable {
    package var timeouts = CallTimeouts.Policy()
    /// After the first attempt.
    package var retries = 0
    /// A request may be sent again although it has reached the upstream.
    package var isRepeatable = false
    /// Nanoseconds; 0 for never.
    package var hedgeAfter: Int64 = 0
    package var maxAnswerBytes = Int.max
    package var backoff = Backoff()

    package init() {}
}

/// Where a call goes: an upstream, as far as calls need to know it.
package final class CallTarget: Sendable {
    package let pool: UpstreamPool
    package let policy: CallPolicy

    package init(pool: UpstreamPool, policy: CallPolicy) {
        self.pool = pool
        self.policy = policy
    }
}
