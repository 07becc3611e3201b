// SPDX-License-Identifier: Apache-2.0

import CLinux
import GatewayCore

#if canImport(Glibc)
import Glibc
#endif

/// The measurements of one event loop that its timer makes: the delay of the timer, and the share of time that the loop works.
package final class LoopGauges {
    /// The share of the last second in which the loop's thread ran, 0 to 1.
    package private(set) var utilization = 0.0
    /// The memory usage of the loop's sessions by ``MemoryPart/ordinal``, as of the last complete survey.
    package var memoryParts = [Int](repeating: 0, count: MemoryPart.allCases.count)
    /// When the timer is due next.
    private var due: Instant?
    private var measured: (wall: Instant, thread: Int64)?

    package init() {}

    /// Returns the delay of the timer, which has just fired; nil the first time.
    func tickBegan(now: Instant) -> Instant.Duration? { due.map { max(.zero, now - $0) } }

    /// - Parameter interval: the time until the timer fires again
    func tickEnded(now: Instant, interval: Instant.Duration) { due = now + interval }

    /// Measures the utilization since the last call.
    ///
    /// - Parameter thread: the processor time of the calling thread in nanoseconds
    func measureUtilization(now: Instant, thread: Int64 = LoopGauges.threadNanoseconds()) {
        defer { measured = (now, thread) }
        guard let measured, now > measured.wall else { return }
        utilization = min(max(Double(thread - measured.thread) / Double((now - measured.wall).nanoseconds), 0), 1)
    }

    /// Returns the processor time of the calling thread.
    package static func threadNanoseconds() -> Int64 {
        parley_clock_nanoseconds(CLOCK_THREAD_CPUTIME_ID)
    }
}
