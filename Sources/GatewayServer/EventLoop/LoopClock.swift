// SPDX-License-Identifier: Apache-2.0

import Foundation
package import GatewayCore
import NIOCore

/// The time of an event loop: constant while an input is handled, otherwise read from the clock.
package final class LoopTime {
    package var clock = LoopClock()
    package var inputTime: Instant?

    package var now: Instant { inputTime ?? clock.now }
}

/// The clock of one event loop: monotonic, and stopped while the process is suspended.
///
/// After a suspension (SIGSTOP, a paused machine) all deadlines would have passed through no fault of the clients. Therefore gaps between two
/// ticks longer than ``longestTick`` are excluded.
package struct LoopClock: Sendable {
    /// The longest gap between two ticks that counts as time, in nanoseconds. With ticks every 100 ms, a longer gap is a suspension, not
    /// load.
    package static let longestTick: Int64 = 3_000_000_000

    private var lastTick: Int64
    private var excluded: Int64 = 0
    private var latest: Instant
    /// A time set by tests in place of the system's clock.
    package var manual: Int64?

    package init(monotonic: Int64 = LoopClock.monotonicNanoseconds()) {
        lastTick = monotonic
        latest = Instant(nanoseconds: monotonic)
    }

    package var now: Instant { mutating get { now(monotonic: manual ?? Self.monotonicNanoseconds()) } }

    package mutating func now(monotonic: Int64) -> Instant {
        // The gap is also excluded between the resumption and the next tick.
        let gap = monotonic - lastTick
        let read = Instant(nanoseconds: (gap > Self.longestTick ? lastTick : monotonic) - excluded)
        // A gap begins at the tick before it. If the clock was read after that tick, the clock stops rather than going back.
        latest = max(latest, read)
        return latest
    }

    /// The difference to the system's clock in nanoseconds; zero or negative.
    package var offset: Int64 {
        mutating get {
            let monotonic = manual ?? Self.monotonicNanoseconds()
            return now(monotonic: monotonic).nanoseconds - monotonic
        }
    }

    /// Advances the clock. Must be called every 100 ms.
    ///
    /// - Returns: the excluded nanoseconds; usually 0.
    @discardableResult
    package mutating func tick() -> Int64 { tick(monotonic: manual ?? Self.monotonicNanoseconds()) }

    @discardableResult
    package mutating func tick(monotonic: Int64) -> Int64 {
        let gap = monotonic - lastTick
        lastTick = monotonic
        guard gap > Self.longestTick else { return 0 }
        excluded += gap
        return gap
    }

    package static func monotonicNanoseconds() -> Int64 { Int64(truncatingIfNeeded: NIODeadline.now().uptimeNanoseconds) }

    /// Returns the wall clock time in Unix milliseconds.
    package static func wallMilliseconds() -> Int64 {
        Int64(Date().timeIntervalSince1970 * 1000)
    }
}
