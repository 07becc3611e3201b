// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Synchronization

/// The time of the last tick of an event loop, for the watchdog. Written by the event loop, read by any thread.
package final class LoopTick: Sendable {
    private let nanoseconds = Atomic<Int64>(LoopClock.monotonicNanoseconds())

    package init() {}

    package var last: Instant { Instant(nanoseconds: nanoseconds.load(ordering: .relaxed)) }

    package func record() { nanoseconds.store(LoopClock.monotonicNanoseconds(), ordering: .relaxed) }

    /// Records that the event loop isn't ticked any more, on purpose.
    package func finish() { nanoseconds.store(.max, ordering: .relaxed) }
}
