// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import NIOCore
import Synchronization

/// A drain that has begun.
struct DrainProgress: Sendable {
    let schedule: DrainSchedule
    let start: ContinuousClock.Instant
    /// Whether the process exits after the drain.
    var isStopping: Bool
    /// Whether every WebSocket is closed.
    var isComplete = false

    var end: ContinuousClock.Instant { start + Duration(schedule.end) }

    /// The rest of `shutdown.drain`; zero if the drain is complete.
    var remaining: Duration { isComplete ? .zero : max(.zero, start + Duration(schedule.total) - ContinuousClock.now) }
}

/// The result of `POST /v1/gateway/drain`.
package struct DrainReport: Sendable, Hashable, Codable {
    package var state: String
    /// The rest of `shutdown.drain` in milliseconds; 0 if the drain is complete.
    package var deadlineMilliseconds: Int64
    /// WebSockets that are open.
    package var connections: Int

    package init(state: String, deadlineMilliseconds: Int64, connections: Int) {
        self.state = state
        self.deadlineMilliseconds = deadlineMilliseconds
        self.connections = connections
    }

    enum CodingKeys: String, CodingKey {
        case state, connections
        case deadlineMilliseconds = "deadline_ms"
    }
}

extension Gateway {
    /// `running` or `draining`.
    package var state: String { drainProgress.withLock { $0 == nil } ? "running" : "draining" }

    /// Begins a drain that doesn't end the process: the listener stays open and rejects upgrades, so that clients and load balancers get a
    /// response. Further calls only report.
    package func beginDrain() async -> DrainReport {
        let (progress, isNew) = await drainConnections(isStopping: false)
        if isNew {
            // Ends at the latest with the process.
            Task {
                await wait(until: progress.end) { $0.connections.webSockets == 0 }
                await onEveryLoop { $0.connections.abortWebSockets() }
                complete()
            }
        }
        return DrainReport(
            state: state, deadlineMilliseconds: progress.remaining.clampedMilliseconds, connections: shared.connectionLimits.webSockets)
    }

    /// Drains within `shutdown.drain`, or within the rest of a drain that has begun already: reports not ready, stops accepting, sends
    /// `goaway`, closes the remaining connections with 1012, then aborts those that are still open.
    func stop(_ channels: [any Channel]) async {
        shared.health.set(.listener, .notReady("closed"))
        // Before `goaway`, so that no client which reconnects at once reaches this process again.
        for channel in channels { try? await channel.close().get() }
        let (progress, _) = await drainConnections(isStopping: true)
        // Upstream calls of sessions that moved to other nodes go on until the end, too.
        await wait(until: progress.end) {
            $0.connections.isEmpty && $0.loop.shared.callsOfOthers.load(ordering: .relaxed) == 0
        }
        await onEveryLoop {
            $0.connections.abortAll()
            $0.loop.upstreams.shutDown()
        }
        // Aborted connections close in tasks of their event loops and submit their last changes before the store closes.
        await wait(until: .now + .seconds(1)) { $0.connections.isEmpty }
        complete()
    }

    /// Records and logs that the drain is complete. Only the first call has an effect.
    private func complete() {
        let isNews = drainProgress.withLock { progress in
            defer { progress?.isComplete = true }
            return progress?.isComplete == false
        }
        if isNews { logger.info("drained") }
    }

    /// Begins to drain the connections, unless that has happened.
    ///
    /// - Parameter isStopping: whether the process exits after the drain
    private func drainConnections(isStopping: Bool) async -> (progress: DrainProgress, isNew: Bool) {
        let (progress, isNew) = drainProgress.withLock { progress in
            if isStopping { progress?.isStopping = true }
            if let progress { return (progress, false) }
            let new = DrainProgress(schedule: DrainSchedule(total: .init(drain)), start: .now, isStopping: isStopping)
            progress = new
            shared.health.set(.accepting, .notReady("draining"))
            return (new, true)
        }
        // With a listener of the service manager, clients whose connection was accepted before are served, so that a restart rejects nobody.
        shared.beginDraining(rejectsUpgrades: !isStopping || !hasInheritedListener)
        if isNew { logger.info("draining", metadata: ["deadline_ms": .stringConvertible(drain.clampedMilliseconds)]) }
        var generator = SystemRandomNumberGenerator()
        // If the drain has begun, the times have no effect.
        let times = progress.schedule.times(of: await snapshotLoops { $0.connections.webSockets }, using: &generator)
        await onEveryLoop(times) { shard, times in
            shard.connections.drain(progress.schedule, times: times, cutsRequests: isStopping, now: shard.loop.clock.now)
        }
        return (progress, isNew)
    }

    /// Waits until a condition holds on every event loop, or the deadline has passed.
    private func wait(until deadline: ContinuousClock.Instant, _ condition: @escaping @Sendable (GatewayShard) -> Bool) async {
        while ContinuousClock.now < deadline {
            if await snapshotLoops(condition).allSatisfy(\.self) { return }
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }
        }
    }
}
