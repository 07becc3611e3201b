// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Logging
import NIOCore

/// The sessions of one event loop, attached and detached.
package final class LocalSessionTable {
    let loop: EventLoopState
    private var drivers: [ULID: SessionDriver] = [:]
    /// The number of this loop in ``SessionRegistry``.
    private(set) var number = 0
    /// The sessions of each user.
    var byUser: [String: Set<ULID>] = [:]
    var pushDeadlines = PushDeadlines()
    /// The callbacks of requests that wait for the transfer of a session to this loop.
    var transferWaiters: [ULID: [() -> Void]] = [:]
    /// The sessions that are being handed over to other nodes.
    var departing: [ULID: SessionDriver] = [:]

    package init(loop: EventLoopState) {
        self.loop = loop
        number = loop.shared.add(NIOLoopBound(self, eventLoop: loop.eventLoop))
    }

    subscript(_ id: ULID) -> SessionDriver? { drivers[id] }

    var all: some Collection<SessionDriver> { drivers.values }

    /// Begins a session. Returns nil when the session limit is reached.
    package func begin(for client: ClientKey) -> SessionDriver? {
        let wall = LoopClock.wallMilliseconds()
        let id = loop.effects.ids.ulid(at: wall)
        let admission = loop.shared.sessions.begin(id, of: client, loop: number)
        guard admission != .full else { return nil }
        displace(admission)
        let driver = SessionDriver(id: id, in: self, wall: wall)
        add(driver)
        return driver
    }

    func add(_ driver: SessionDriver) {
        drivers[driver.session.id] = driver
        registerUser(of: driver)
        registerPushDeadline(of: driver)
        driver.account()
    }

    func remove(_ driver: SessionDriver) {
        guard drivers.removeValue(forKey: driver.session.id) != nil else { return }
        unregisterUser(of: driver)
        loop.account(-driver.accounted)
        driver.accounted = 0
    }

    /// Restores sessions from the store.
    ///
    /// - Returns: the number of sessions that could be read.
    package func restore(_ stored: [StoredSession]) -> Int { stored.count { restore($0) } }

    /// Restores a session from the store; one that can't be read is discarded.
    ///
    /// - Parameters:
    ///   - handover: what the records lack, if another node had the session until now
    ///   - stream: the calls in flight of a session that was handed over
    /// - Returns: whether the session could be read
    func restore(_ stored: StoredSession, handover: [UInt8]? = nil, over stream: NodeStream? = nil) -> Bool {
        var isRestored = false
        loop.withInput {
            do throws(RecordError) {
                let driver = try SessionDriver(restoring: stored, handover: handover, in: self)
                driver.resumeRequests(over: stream, isHandedOver: handover != nil)
                isRestored = true
            } catch {
                loop.logger.error("stored session unreadable; discarded", metadata: ["session_id": "\(stored.id)"])
                stream?.close(.fault)
                loop.effects.batch?.end(stored.id, tokens: [])
                loop.scheduleCommit()
            }
        }
        return isRestored
    }

    /// Ends a displaced session on its event loop.
    func displace(_ admission: SessionRegistry.Admission) {
        guard case .displacing(let id, let home) = admission else { return }
        if home == number { return displaced(id) }
        loop.shared.mailbox(home)?.displace(id)
    }

    func displaced(_ id: ULID) { drivers[id]?.end(.displaced) }

    // MARK: Ticks

    /// Checks the deadlines of detached sessions.
    ///
    /// - Parameter elapsed: the time since the last check
    func tickDetached(now: Instant, elapsed: Instant.Duration) {
        let isFailing = !loop.shared.acceptsWork
        for driver in drivers.values where !driver.isAttached {
            if isFailing { driver.postponeExpiry(by: elapsed) }
            driver.tickSupervision(now: now)
            driver.tickDetached(now: now)
            driver.scheduleDemand()
        }
    }

    /// Updates the memory usage of the sessions, and reclaims memory near the budget.
    func accountMemory() {
        for driver in drivers.values { driver.account() }
        loop.publishMemory()
        if loop.isShortOfMemory { loop.reclaimMemory() }
    }

    func apply(_ settings: GatewaySettings) {
        for driver in drivers.values { driver.apply(settings) }
    }
}
