// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// Pushes into the sessions of one event loop, and the commands of operators who supervise them.
extension LocalSessionTable {
    /// The ids of all sessions, or of those of a user.
    func ids(ofUser user: String?) -> [ULID] {
        guard let user else { return all.map { $0.session.id } }
        return Array(byUser[user] ?? [])
    }

    func registerUser(of driver: SessionDriver) {
        guard let user = driver.session.user else { return }
        byUser[user, default: []].insert(driver.session.id)
    }

    func unregisterUser(of driver: SessionDriver) {
        guard let user = driver.session.user else { return }
        byUser[user]?.remove(driver.session.id)
        if byUser[user]?.isEmpty == true { byUser[user] = nil }
    }

    /// Registers a session for the earliest end of a push's time to live.
    func registerPushDeadline(of driver: SessionDriver) {
        guard let deadline = driver.session.nextPushDeadline else { return }
        pushDeadlines.add(driver.session.id, deadline: deadline)
    }

    /// Withdraws the expired pushes, in slices. Called with every tick.
    func tickPushes() {
        guard pushDeadlines.count > 0 else { return }
        let end = LoopClock.monotonicNanoseconds() + PushRun.slice.nanoseconds
        let wall = LoopClock.wallMilliseconds()
        while let id = pushDeadlines.next(wall: wall) {
            self[id]?.expirePushes()
            guard LoopClock.monotonicNanoseconds() < end else {
                let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
                loop.eventLoop.scheduleTask(in: PushRun.pause) { bound.value.tickPushes() }
                return
            }
        }
    }
}
