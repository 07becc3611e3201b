// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The refreshes of the times to live of owned sessions, as the store schedules them.
func simulateRefreshes(_ count: Int, _ figures: inout Figures) {
    // RedisStoreSettings: sessions.resume_window and an hour, of which a quarter is the interval.
    let lifetime: Int64 = (120 + 3600) * 1_000_000_000
    let interval = lifetime / 4
    // RedisCommitter.tick and refreshesPerTick.
    let tick: Int64 = 100_000_000
    let perTick = 500
    let calls = Int(interval / tick)

    for (name, spread) in [("spread over an interval", interval), ("that begin at once", 1)] {
        var owned = OwnedSessions(interval: interval)
        var ids = ULIDSource(seed: 2)
        var inserted = 0
        var (refreshes, largest, late) = (0, 0, 0 as Int64)
        var due: [ULID: Int64] = [:]
        for step in 0..<Int64(3 * calls) {
            let now = step * tick
            while inserted < count, Double(inserted) / Double(count) * Double(spread) <= Double(now) {
                let id = ids.ulid(at: 1_767_225_600_000)
                owned.insert(id, OwnedSession(epoch: 1), now: now)
                if inserted.isMultiple(of: 1000) { due[id] = now + interval }
                inserted += 1
            }
            let refreshed = owned.due(now: now, calls: calls, atLeast: perTick)
            // The second and third interval: all sessions are there.
            if step >= Int64(calls) { refreshes += refreshed.count }
            largest = max(largest, refreshed.count)
            for id in refreshed {
                guard let time = due[id] else { continue }
                late = max(late, now - time)
                due[id] = now + interval
            }
        }
        let seconds = Double(2 * interval) / 1e9
        let expected = Double(count) / (Double(interval) / 1e9)
        print("refreshes of \(count) sessions \(name)")
        figures.report("refreshes", Double(refreshes) / seconds, "/s", expected: expected * 0.5...expected * 1.01)
        figures.report("largest number in a tick of 100 ms", Double(largest), "", expected: 0...Double(max(perTick, 2 * count / calls)))
        // A session must be refreshed before its time to live ends, with three quarters of it to spare for outages.
        figures.report("longest delay of a refresh", Double(late) / 1e9, "s", expected: 0...Double(lifetime - 2 * interval) / 1e9)
    }
}

/// The commands by which nodes renew their leases: NodeDirectory.tick, RedisStore.announce and nodes().
func simulateLeases(_ figures: inout Figures) {
    for (lease, nodes, expected) in [(5.0, 3.0, 12.6), (5.0, 10.0, 84.0), (5.0, 100.0, 6240.0), (1.0, 3.0, 63.0)] {
        // The script and ZADD; ZRANGE, HGETALL of each node, ZREMRANGEBYSCORE.
        let commands = 2 + 1 + nodes + 1
        figures.report(
            "commands for the leases of \(Int(nodes)) nodes at \(Int(lease)) s", nodes * commands * 3 / lease, "/s",
            expected: expected * 0.999...expected * 1.001)
    }
}
