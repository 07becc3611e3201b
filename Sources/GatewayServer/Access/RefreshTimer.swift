// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore

/// The clock and the timer of a ``JWKSetSource``.
package struct RefreshTimer: Sendable {
    /// Returns the time of a monotonic clock.
    package var now: @Sendable () -> Instant
    /// Calls a function once at an instant, on any thread. The result cancels the call.
    package var schedule: @Sendable (_ at: Instant, _ body: @escaping @Sendable () -> Void) -> @Sendable () -> Void

    package init(
        now: @escaping @Sendable () -> Instant,
        schedule: @escaping @Sendable (_ at: Instant, _ body: @escaping @Sendable () -> Void) -> @Sendable () -> Void
    ) {
        self.now = now
        self.schedule = schedule
    }

    /// Returns a timer on an event loop.
    package static func on(_ eventLoop: any EventLoop) -> RefreshTimer {
        RefreshTimer(
            now: { Instant(nanoseconds: LoopClock.monotonicNanoseconds()) },
            schedule: { instant, body in
                let scheduled = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(clamping: instant.nanoseconds)), body)
                return { scheduled.cancel() }
            })
    }
}
