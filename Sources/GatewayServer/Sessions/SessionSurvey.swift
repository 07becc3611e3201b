// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// A repeated measurement of the memory usage of every session of an event loop, in slices: a loop with thousands of sessions never stalls.
final class SessionSurvey {
    /// The pause between the beginnings of two surveys.
    static let interval = Instant.Duration.seconds(5)
    /// The longest time of one slice.
    static let slice = Instant.Duration.nanoseconds(500_000)
    /// The number of sessions between two readings of the clock.
    private static let step = 16

    /// The sessions that this survey hasn't measured yet.
    private var remaining: [ULID] = []
    private var parts = [Int](repeating: 0, count: MemoryPart.allCases.count)
    private var isRunning = false
    private var nextStart: Instant?

    /// Measures one slice, if a survey is running or due. Called with every tick.
    func tick(_ table: LocalSessionTable, now: Instant) {
        if !isRunning {
            guard nextStart.map({ now >= $0 }) ?? true else { return }
            nextStart = now + Self.interval
            isRunning = true
            remaining.append(contentsOf: table.all.lazy.map { $0.session.id })
        }
        let end = LoopClock.monotonicNanoseconds() + Self.slice.nanoseconds
        repeat {
            for _ in 0..<Self.step {
                guard let id = remaining.popLast() else { return finish(table) }
                // The session may have ended, or moved to another event loop.
                if let driver = table[id] { measure(driver, table.loop) }
            }
        } while LoopClock.monotonicNanoseconds() < end
    }

    private func measure(_ driver: SessionDriver, _ loop: EventLoopState) {
        let usage = driver.session.memoryUsage
        for part in MemoryPart.allCases { parts[part.rawValue] += usage[part] }
        loop.metrics.sessionMemory.record(Int64(usage.total))
        if driver.isAttached { loop.metrics.socketQueue.record(Int64(usage.connection.socketQueue)) }
    }

    private func finish(_ table: LocalSessionTable) {
        table.loop.gauges.memoryParts = parts
        for index in parts.indices { parts[index] = 0 }
        isRunning = false
    }
}
