package import GatewayCore
import Logging
import NIOCore

/// The sessions of one event loop: those with a connection and those without.
package final class LocalSessionTable {
    let loop: EventLoopState
    private var drivers: [ULID: SessionDriver] = [:]
    /// The number by which ``SessionRegistry`` knows this loop.
    private(set) var number = 0
    /// Requests for sessions that are on their way to this loop.
    var arrivals: [ULID: [() -> Void]] = [:]

    package init(loop: EventLoopState) {
        self.loop = loop
        number = loop.shared.add(NIOLoopBound(self, eventLoop: loop.eventLoop))
    }

    subscript(_ id: ULID) -> SessionDriver? { drivers[id] }

    var all: some Collection<SessionDriver> { drivers.values }

    /// Begins a session; nil when there are as many as may be.
    package func begin(for client: ClientKey) -> SessionDriver? {
        let wall = LoopClock.wallMilliseconds()
        let id = loop.turn.ids.ulid(at: wall)
        let room = loop.shared.sessions.begin(id, of: client, loop: number)
        guard room != .full else { return nil }
        displace(room)
        let driver = SessionDriver(id: id, in: self, wall: wall)
        add(driver)
        return driver
    }

    func add(_ driver: SessionDriver) {
        drivers[driver.session.id] = driver
        driver.account()
    }

    func remove(_ driver: SessionDriver) {
        guard drivers.removeValue(forKey: driver.session.id) != nil else { return }
        loop.account(-driver.accounted)
        driver.accounted = 0
    }

    /// Restores sessions from the store.
    ///
    /// - Returns: how many could be read.
    package func restore(_ stored: [StoredSession]) -> Int {
        var restored = 0
        for entry in stored {
            loop.withTurn {
                do throws(RecordError) {
                    try SessionDriver(restoring: entry, in: self).resumeWork()
                    restored += 1
                } catch {
                    loop.logger.error("a stored session can't be read; it is given up", metadata: ["session_id": "\(entry.id)"])
                    loop.turn.batch?.end(entry.id, tokens: [])
                    loop.scheduleCommit()
                }
            }
        }
        return restored
    }

    /// Ends the session that made room for another one, on the event loop that has it.
    func displace(_ room: SessionRegistry.Room) {
        guard case .displacing(let id, let home) = room else { return }
        if home == number { return displaced(id) }
        loop.shared.mailbox(home)?.displace(id)
    }

    func displaced(_ id: ULID) { drivers[id]?.end(.displaced) }

    // MARK: Ticks

    /// Looks at the deadlines of sessions without a connection.
    ///
    /// - Parameter passed: the time since the last look
    func tickDetached(now: Instant, passed: Instant.Duration) {
        let isFailing = loop.shared.store?.takesWork == false
        for driver in drivers.values where !driver.isAttached {
            if isFailing { driver.postponeExpiry(by: passed) }
            driver.tickDetached(now: now)
            driver.scheduleDemand()
        }
    }

    /// Adds up the memory of the sessions, and has memory freed when it is too much.
    func accountMemory() {
        for driver in drivers.values { driver.account() }
        loop.publishMemory()
        if loop.isShortOfMemory { loop.relieveMemory() }
    }

    func apply(_ settings: GatewaySettings) {
        for driver in drivers.values { driver.apply(settings) }
    }
}
