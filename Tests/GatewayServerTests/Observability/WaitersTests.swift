// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing

@testable import GatewayServer

@Suite struct WaitersTests {
    private final class Door: Sendable {
        struct State: WaitableState {
            var isOpen = false
            var waiters = Waiters()
        }

        let state = Mutex(State())

        var waiting: Int { state.withLock { $0.waiters.count } }

        func wait(_ timeout: Duration) -> Bool { state.wait(within: timeout) { $0.isOpen } }

        /// Wakes the waiters, whether the door is open or not.
        func wake(open: Bool) {
            state.withLock { state in
                state.isOpen = open
                state.waiters.release()
            }
        }
    }

    @Test func `a condition that is met is not waited for`() {
        let door = Door()
        door.wake(open: true)
        #expect(door.wait(.zero) && door.waiting == 0)
    }

    @Test func `a waiter whose timeout passes is removed`() {
        let door = Door()
        for _ in 0..<3 { #expect(!door.wait(.milliseconds(1))) }
        #expect(door.waiting == 0)
    }

    @Test func `all waiters are woken, and wait again while the condition isn't met`() {
        let door = Door()
        let met = Atomic(0)
        let done = DispatchGroup()
        for _ in 0..<3 {
            done.enter()
            Thread.detachNewThread {
                // An unlimited timeout doesn't overflow.
                if door.wait(.seconds(Int64.max)) { met.add(1, ordering: .sequentiallyConsistent) }
                done.leave()
            }
        }
        while door.waiting < 3 { usleep(100) }
        door.wake(open: false)
        while door.waiting < 3 { usleep(100) }
        #expect(met.load(ordering: .sequentiallyConsistent) == 0)
        door.wake(open: true)
        done.wait()
        #expect(met.load(ordering: .sequentiallyConsistent) == 3 && door.waiting == 0)
    }
}
