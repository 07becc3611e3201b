// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import NIOCore

/// The figures of connections, sessions and limits for operators.
extension Gateway: ConnectionDirectory {
    package func connections(after cursor: ULID?, limit: Int) async -> [ConnectionView] {
        let ids = await visitConnections(FirstElements<ULID>(limit: limit)) { found, connection, _ in
            if cursor.map({ $0 < connection.id }) ?? true { found.insert(connection.id) }
        }
        let page = Set(
            ids.flatMap { ids in
                var ids = ids
                return ids.sorted()
            }.sorted().prefix(limit))
        let views = await visitConnections([ConnectionView]()) { views, connection, shard in
            guard page.contains(connection.id) else { return }
            let session = connection.sessionID.flatMap { shard.sessions[$0] }
            views.append(
                ConnectionView(connection, session, now: shard.loop.clock.now, wall: LoopClock.wallMilliseconds()))
        }
        return views.flatMap(\.self).sorted { $0.connectionID < $1.connectionID }
    }

    package func sessionsLimited() async -> [Limit: Int] {
        let counts = await visitSessions([Limit: Int]()) { counts, driver in
            let loop = driver.loop
            for limit in Limit.allCases where driver.session.isLimited(by: limit, now: loop.clock.now, sharedNow: loop.sharedNow) {
                counts[limit, default: 0] += 1
            }
        }
        return counts.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
    }

    package func addressesAtLimit(_ limit: Int) -> [AddressAtLimit] {
        shared.connectionLimits.addressesAtLimit(limit, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds()))
    }

    package func cleanUp() async -> CleanupReport {
        var report = CleanupReport()
        let before = ResidentMemory.bytes ?? 0
        let expired = await visitSessions(0) { count, driver in
            guard !driver.isAttached, driver.session.isExpired(at: driver.loop.clock.now) else { return }
            driver.tickDetached(now: driver.loop.clock.now)
            count += 1
        }
        report.sessions = expired.reduce(0, +)
        let now = Instant(nanoseconds: LoopClock.monotonicNanoseconds())
        report.addresses = shared.connectionLimits.sweep(now: now)
        report.limiters = shared.limiters.sweep(now: now)
        removeExpired()
        report.memoryBytes = max(0, before - (ResidentMemory.bytes ?? 0))
        return report
    }
}
