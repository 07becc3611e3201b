import CLinux

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How the kernel lets event loops run beside others who want the same core: models, recognisers, what upstreams of the kind `process` are.
///
/// A loop has little to do at a time, and somebody waits for it; whoever computes has much. The share of each stays what it is, but a thread that
/// has asked for short turns gets its own sooner when it wakes up: without it, after the other's turn of some milliseconds. Where processes are
/// started on a loop's core all the time, its p99 is a quarter of what it would be.
package enum LoopScheduling {
    /// The least that Linux allows.
    package static let turnNanoseconds: UInt64 = 100_000

    /// For the calling thread, an event loop's. Threads that it starts have ordinary turns.
    ///
    /// Without effect before Linux 6.12, where it isn't allowed, and under another policy than the ordinary one, which is then somebody's choice.
    static func shortenTurns() {
        var scheduling = parley_scheduling()
        guard parley_get_scheduling(0, &scheduling) == 0, scheduling.policy == UInt32(SCHED_OTHER) else { return }
        scheduling.flags |= UInt64(PARLEY_SCHEDULING_RESET_ON_FORK)
        scheduling.runtime = turnNanoseconds
        _ = parley_set_scheduling(&scheduling)
    }

    /// The turns of a thread, nanoseconds; 0 where the kernel has no such thing.
    ///
    /// - Parameter thread: 0 for the calling one
    package static func turn(of thread: Int32 = 0) -> UInt64 {
        var scheduling = parley_scheduling()
        return parley_get_scheduling(thread, &scheduling) == 0 ? scheduling.runtime : 0
    }
}
