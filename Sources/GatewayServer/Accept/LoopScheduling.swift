// SPDX-License-Identifier: Apache-2.0

import CLinux

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Kernel scheduling of event loop threads that share cores with compute-bound processes, such as local models or upstreams of kind
/// `process`.
///
/// An event loop runs briefly, but clients wait for it. A thread with a shorter time slice (EEVDF) gets the same share of the core but is
/// scheduled sooner after waking up, instead of after the other thread's slice of several milliseconds. Where processes keep starting on a
/// loop's core, this reduces the loop's p99 to a quarter.
package enum LoopScheduling {
    /// The shortest time slice that Linux allows.
    package static let timeSliceNanoseconds: UInt64 = 100_000

    /// Shortens the time slice of the calling thread, which must be an event loop's. Threads started by it get the default slice.
    ///
    /// Has no effect before Linux 6.12, if the system call isn't permitted, or under a policy other than SCHED_OTHER, which was set
    /// deliberately.
    static func shortenTimeSlice() {
        var scheduling = parley_scheduling()
        guard parley_get_scheduling(0, &scheduling) == 0, scheduling.policy == UInt32(SCHED_OTHER) else { return }
        scheduling.flags |= UInt64(PARLEY_SCHEDULING_RESET_ON_FORK)
        scheduling.runtime = timeSliceNanoseconds
        _ = parley_set_scheduling(&scheduling)
    }

    /// Returns the time slice of a thread in nanoseconds; 0 before Linux 6.12.
    ///
    /// - Parameter thread: the thread id; 0 for the calling thread
    package static func timeSlice(of thread: Int32 = 0) -> UInt64 {
        var scheduling = parley_scheduling()
        return parley_get_scheduling(thread, &scheduling) == 0 ? scheduling.runtime : 0
    }
}
