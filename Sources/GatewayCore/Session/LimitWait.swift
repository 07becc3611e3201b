// SPDX-License-Identifier: Apache-2.0

/// The time until a limit admits a message.
struct LimitWait: Equatable {
    var duration: Instant.Duration
    /// Whether the limit is shared by all sessions of the client. Other sessions may have exhausted it.
    var isPerClient = false

    /// - Parameter nanoseconds: the duration as returned by a limiter
    init(nanoseconds: Int64, isPerClient: Bool = false) {
        duration = .nanoseconds(nanoseconds)
        self.isPerClient = isPerClient
    }
}
