// SPDX-License-Identifier: Apache-2.0

import Dispatch
import GatewayCore
import Synchronization

/// The threads that wait for a condition of a state, each with a semaphore of its own. Part of the state that they wait for.
struct Waiters {
    private var semaphores: [DispatchSemaphore] = []

    var count: Int { semaphores.count }

    /// Wakes all threads; each checks its condition again. Called after a change that may meet a condition.
    mutating func release() {
        for semaphore in semaphores { semaphore.signal() }
        semaphores.removeAll()
    }

    fileprivate mutating func append(_ semaphore: DispatchSemaphore) { semaphores.append(semaphore) }

    fileprivate mutating func remove(_ semaphore: DispatchSemaphore) { semaphores.removeAll { $0 === semaphore } }
}

/// A state for whose conditions threads wait.
protocol WaitableState {
    var waiters: Waiters { get set }
}

extension Mutex where Value: WaitableState {
    /// Blocks the calling thread until a condition is met. Returns false if the timeout passes first.
    func wait(within timeout: Duration, until condition: (borrowing Value) -> Bool) -> Bool {
        // Half the range, so that an unlimited timeout doesn't overflow the clock.
        let deadline = DispatchTime.now() + .nanoseconds(Int(min(timeout.clampedNanoseconds, .max / 2)))
        while true {
            // One semaphore per iteration, because the condition may be false again before this thread checks it.
            let wakeUp = DispatchSemaphore(value: 0)
            let isMet = withLock { state in
                if condition(state) { return true }
                state.waiters.append(wakeUp)
                return false
            }
            if isMet { return true }
            guard wakeUp.wait(timeout: deadline) == .success else {
                return withLock { state in
                    state.waiters.remove(wakeUp)
                    return condition(state)
                }
            }
        }
    }
}
