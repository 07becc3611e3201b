import GatewayCore
import NIOCore

/// The memory usage of an event loop's sessions, against `sessions.total_memory_budget`.
extension EventLoopState {
    /// Bytes by which the memory of a loop may differ from what the others know of it.
    package static let memoryStep = 64 * 1024

    /// The memory of all sessions, as this loop knows it.
    var totalMemory: Int { shared.memoryBytes + memory - memoryReported }

    /// Whether all sessions together hold 90 % of `sessions.total_memory_budget`.
    package var isShortOfMemory: Bool { settings.memoryRelief.isShort(totalMemory) }

    /// Whether upstreams have to wait, because sessions hold more than the budget and its overhead.
    var isOverMemoryLimit: Bool { settings.memoryRelief.isOverLimit(totalMemory) }

    /// Bytes that are left of the budget; none or less when it is used up.
    var memoryLeft: Int {
        let budget = settings.memoryRelief.budget
        return budget == .max ? .max : budget - totalMemory
    }

    /// Adds a change of a session's memory, in bytes.
    func account(_ change: Int) {
        memory += change
        let unknown = memory - memoryReported
        guard unknown >= Self.memoryStep || unknown <= -Self.memoryStep else { return }
        publishMemory()
    }

    func publishMemory() {
        let change = memory - memoryReported
        memoryReported = memory
        counters.memoryBytes = Int64(memory)
        let total = shared.addMemory(change)
        if change > 0, settings.memoryRelief.isExhausted(total) { relieveMemory() }
    }

    /// Searches for memory, and then calls `completion` on this loop. ``isShortOfMemory`` tells the result.
    func makeRoom(_ completion: @escaping () -> Void) {
        let bound = NIOLoopBound(completion, eventLoop: eventLoop)
        relieveMemory { bound.eventLoop.execute { bound.value() } }
    }

    /// Starts a search for memory on all loops, unless one is under way.
    func relieveMemory(for newcomer: (@Sendable () -> Void)? = nil) {
        let mailboxes = shared.allMailboxes
        switch shared.relief.begin(for: newcomer, loops: mailboxes.count, now: sharedNow) {
        case .begun: for mailbox in mailboxes { mailbox.reportMemoryUsage() }
        case .joined: break
        case .tooSoon: newcomer?()
        }
    }
}
