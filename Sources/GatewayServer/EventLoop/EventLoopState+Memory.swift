import GatewayCore
import Logging
import NIOCore

/// The memory of an event loop's sessions, against `sessions.total_memory_budget`.
extension LoopContext {
    /// Bytes by which the memory of a loop may differ from what the others know of it.
    package static let memoryStep = 64 * 1024

    /// The memory of all sessions, as this loop knows it.
    private var totalMemory: Int { shared.memoryBytes + memory - memoryReported }

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
        let loops = shared.allLoops
        let now = Instant(nanoseconds: clock.manual ?? LoopClock.monotonicNanoseconds())
        switch shared.relief.begin(for: newcomer, loops: loops.count, now: now) {
        case .begun: for bound in loops { bound.eventLoop.execute { bound.value.reportUsage() } }
        case .joined: break
        case .tooSoon: newcomer?()
        }
    }

    private func reportUsage() {
        let usages = sessions.values.map { $0.usage }
        guard let found = shared.relief.report(usages) else { return }
        let steps = settings.memoryRelief.steps(for: found.usages, forNewcomer: found.isForNewcomer)
        let parts = Dictionary(grouping: steps, by: \.loop)
        shared.relief.expect(max(1, parts.count))
        guard !parts.isEmpty else { return shared.relief.finish() }
        log(steps)
        for (number, part) in parts {
            guard let bound = shared.loop(number) else {
                shared.relief.finish()
                continue
            }
            bound.eventLoop.execute {
                for step in part { bound.value.perform(step) }
                bound.value.publishMemory()
                bound.value.shared.relief.finish()
            }
        }
    }

    /// Takes a step, unless the session has ended, moved, or got a connection since it was asked.
    private func perform(_ step: MemoryRelief.Step) {
        switch step {
        case .cutHistory(let id, _): sessions[id]?.relieve()
        case .endDetached(let id, _):
            if let driver = sessions[id], !driver.isAttached { driver.end(.memoryLimit) }
        case .endAttached(let id, _): sessions[id]?.endForMemory()
        }
    }

    private func log(_ steps: [MemoryRelief.Step]) {
        guard case .write(let suppressed) = throttle.admit(.memory, now: clock.now) else { return }
        let cut = steps.count { if case .cutHistory = $0 { true } else { false } }
        var metadata: Logger.Metadata = [
            "histories_cut": .stringConvertible(cut), "sessions_ended": .stringConvertible(steps.count - cut),
            "memory_bytes": .stringConvertible(totalMemory),
        ]
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        logger.warning("sessions hold nearly all of their memory", metadata: metadata)
    }
}

extension SessionDriver {
    var usage: MemoryRelief.Usage {
        MemoryRelief.Usage(
            id: session.id, loop: loop.number, client: session.client, total: session.ledger.total, history: session.history.footprint,
            isAttached: isAttached)
    }

    /// The session's ledger is up to date: tells the event loop how it has changed.
    func account() {
        let total = session.ledger.total
        guard total != accounted else { return }
        let change = total - accounted
        accounted = total
        loop.account(change)
    }

    /// Ends a session whose client holds most, with a fatal error if there is a connection to tell it on.
    func endForMemory() {
        guard let socket = connection?.socket else {
            if !isAttached { end(.memoryLimit) }
            return
        }
        let begun = loop.beginTurn()
        fail(.memoryLimit, source: .gateway, "the gateway is short of memory", close: .memoryLimit)
        socket.flush()
        if begun { loop.endTurn() }
    }
}
