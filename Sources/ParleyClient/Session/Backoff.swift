// SPDX-License-Identifier: Apache-2.0

/// The delays between attempts to connect: random between zero and a limit that doubles with each attempt ("full jitter").
public struct BackoffPolicy: Sendable, Hashable {
    /// The limit of the first delay; default: 250 ms.
    public var base = Duration.milliseconds(250)
    /// The largest limit; default: 30 s.
    public var cap = Duration.seconds(30)
    /// The number of attempts after which the client gives up; nil: unlimited. Default: 10.
    public var attempts: Int? = 10
    /// How long a connection must be open to clear the count of attempts; each tenth takes one off. Default: 60 s.
    public var stable = Duration.seconds(60)

    public init() {}
}

/// Counts attempts, and draws delays.
package struct Backoff: Sendable {
    private let policy: BackoffPolicy
    /// Returns a random number from 0 up to, but not including, 1.
    private let random: @Sendable () -> Double
    package private(set) var count = 0

    package init(_ policy: BackoffPolicy, random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }) {
        self.policy = policy
        self.random = random
    }

    /// Returns the delay before the next attempt; nil if there were too many.
    ///
    /// - Parameters:
    ///   - isAtOnce: draws from the first limit, whatever the number of attempts
    ///   - minimum: the delay that the gateway asked for
    package mutating func next(isAtOnce: Bool = false, minimum: Duration = .zero) -> Duration? {
        if let attempts = policy.attempts, count >= attempts { return nil }
        let limit = isAtOnce ? policy.base : min(policy.cap, policy.base * (1 << min(count, 20)))
        count += 1
        return minimum + limit * random()
    }

    /// Credits the time for which a connection was open.
    package mutating func wasOpen(for duration: Duration) {
        let credit = policy.stable > .zero ? duration / policy.stable * 10 : 10
        count = max(0, count - Int(min(max(0, credit), Double(Int32.max))))
    }

    package mutating func reset() { count = 0 }
}
