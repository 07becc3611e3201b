import Foundation
package import GatewayCore
import NIOCore

/// What time it is on an event loop: that of the turn in progress, or else of the clock.
package final class LoopTime {
    package var clock = LoopClock()
    package var turn: Instant?

    package var now: Instant { turn ?? clock.now }
}

/// The clock of one event loop: monotonic, and standing still while the process doesn't run.
///
/// A suspended process (SIGSTOP, a paused machine) wakes with every deadline in the past. What an event loop didn't live through isn't
/// counted against its clients: gaps between two ticks longer than ``longestTick`` are left out.
package struct LoopClock: Sendable {
    /// Nanoseconds. Ticks come every 100 ms; a loop that is busy for longer than this was stopped, not busy.
    package static let longestTick: Int64 = 3_000_000_000

    private var lastTick: Int64
    private var missed: Int64 = 0
    private var latest: Instant
    /// In place of the system's clock, moved by hand: for tests.
    package var manual: Int64?

    package init(monotonic: Int64 = LoopClock.monotonicNanoseconds()) {
        lastTick = monotonic
        latest = Instant(nanoseconds: monotonic)
    }

    package var now: Instant { mutating get { now(monotonic: manual ?? Self.monotonicNanoseconds()) } }

    package mutating func now(monotonic: Int64) -> Instant {
        // Read between the awakening and the next tick, the gap is left out as well.
        let gap = monotonic - lastTick
        let read = Instant(nanoseconds: (gap > Self.longestTick ? lastTick : monotonic) - missed)
        // A gap is left out from the tick before it; where the clock was read since, it stands still rather than going back.
        latest = max(latest, read)
        return latest
    }

    /// Nanoseconds by which it is ahead of the system's clock: none or less.
    package var offset: Int64 {
        mutating get {
            let monotonic = manual ?? Self.monotonicNanoseconds()
            return now(monotonic: monotonic).nanoseconds - monotonic
        }
    }

    /// To be called every 100 ms. Returns the nanoseconds that were left out, 0 normally.
    @discardableResult
    package mutating func tick() -> Int64 { tick(monotonic: manual ?? Self.monotonicNanoseconds()) }

    @discardableResult
    package mutating func tick(monotonic: Int64) -> Int64 {
        let gap = monotonic - lastTick
        lastTick = monotonic
        guard gap > Self.longestTick else { return 0 }
        missed += gap
        return gap
    }

    package static func monotonicNanoseconds() -> Int64 { Int64(truncatingIfNeeded: NIODeadline.now().uptimeNanoseconds) }

    /// Unix milliseconds.
    package static func wallMilliseconds() -> Int64 {
        Int64(Date().timeIntervalSince1970 * 1000)
    }
}
