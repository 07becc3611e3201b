// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// The memory usage of an event loop's sessions, for `sessions.total_memory_budget`.
extension EventLoopState {
    /// The change in a loop's memory usage, in bytes, at which the loop publishes it to the others.
    package static let memoryStep = 64 * 1024

    /// The memory usage of all sessions: this loop's current usage and the published usage of the others.
    var totalMemory: Int { shared.memoryBytes + memory - publishedMemory }

    /// Whether all sessions together use at least 90 % of `sessions.total_memory_budget`.
    package var isShortOfMemory: Bool { settings.memoryReclaim.isShort(totalMemory) }

    /// Whether no more events are requested from upstreams, because the sessions exceed the budget plus overhead.
    var isOverMemoryLimit: Bool { settings.memoryReclaim.isOverLimit(totalMemory) }

    /// The remaining bytes of the budget; zero or negative when it is exhausted.
    var memoryLeft: Int {
        let budget = settings.memoryReclaim.budget
        return budget == .max ? .max : budget - totalMemory
    }

    /// Adds a change of a session's memory usage, in bytes.
    func account(_ change: Int) {
        memory += change
        let unpublished = memory - publishedMemory
        guard unpublished >= Self.memoryStep || unpublished <= -Self.memoryStep else { return }
        publishMemory()
    }

    func publishMemory() {
        let change = memory - publishedMemory
        publishedMemory = memory
        let total = shared.addMemory(change)
        if change > 0, settings.memoryReclaim.isExhausted(total) { reclaimMemory() }
    }

    /// Reclaims memory, then calls `completion` on this loop, even if ``isShortOfMemory`` is still true.
    func reclaimForNewSession(_ completion: @escaping () -> Void) {
        let bound = NIOLoopBound(completion, eventLoop: eventLoop)
        reclaimMemory { bound.eventLoop.execute { bound.value() } }
    }

    /// Starts a memory reclaim on all loops, unless one is running.
    func reclaimMemory(for newSession: (@Sendable () -> Void)? = nil) {
        let mailboxes = shared.allMailboxes
        switch shared.memoryReclaim.begin(for: newSession, loops: mailboxes.count, now: sharedNow) {
        case .begun: for mailbox in mailboxes { mailbox.reportMemoryUsage() }
        case .joined: break
        case .tooSoon: newSession?()
        }
    }
}
