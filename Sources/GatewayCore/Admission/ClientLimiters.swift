// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The debts of all sessions of one client to each limit, shared between event loops and kept for the client's later sessions.
package final class ClientLimiters: Sendable {
    private let limiters = LimitTable { AtomicLimiter() }

    package init() {}

    /// Admits `units`, or returns how long to wait.
    ///
    /// - Parameter now: on the clock that all event loops share
    package func admit(_ limit: Limit, _ units: Int64, at rate: Rate, now: Instant) -> Instant.Duration? {
        limiters[limit].admit(units, at: rate, now: now)
    }

    /// Returns the result of ``admit(_:_:at:now:)`` without admitting.
    package func wait(_ limit: Limit, for units: Int64, at rate: Rate, now: Instant) -> Instant.Duration? {
        limiters[limit].wait(for: units, at: rate, now: now)
    }

    /// Returns the units that would be admitted now, all at once.
    package func remaining(_ limit: Limit, at rate: Rate, now: Instant) -> Int64 { limiters[limit].snapshot.remaining(at: rate, now: now) }

    /// The time until everything admitted is paid off.
    func owed(at now: Instant) -> Instant.Duration { Limit.allCases.reduce(.zero) { max($0, limiters[$1].snapshot.owed(at: now)) } }
}

/// The limiters of the clients that have a session or still owe something. Accessed when a session is attached, not for each message.
package final class ClientLimiterTable: Sendable {
    private struct State {
        var entries: [ClientKey: ClientLimiters] = [:]
        /// The number of entries at which those that owe nothing are removed.
        var sweepAt = 1024
    }

    private let state = Mutex(State())
    private let maximumCount: Int

    /// - Parameter maximumCount: the number of entries above which unused entries are removed, beginning with those that owe the least
    package init(maximumCount: Int = 65_536) { self.maximumCount = maximumCount }

    package var count: Int { state.withLock { $0.entries.count } }

    package func limiters(of client: ClientKey, now: Instant) -> ClientLimiters {
        state.withLock { state in
            if let known = state.entries[client] { return known }
            if state.entries.count >= min(state.sweepAt, maximumCount) { sweep(&state, now: now) }
            let made = ClientLimiters()
            state.entries[client] = made
            return made
        }
    }

    /// Removes entries that no session uses and that owe nothing.
    ///
    /// - Returns: the number of removed entries
    @discardableResult
    package func sweep(now: Instant) -> Int {
        state.withLock { state in
            let count = state.entries.count
            sweep(&state, now: now)
            return count - state.entries.count
        }
    }

    private func sweep(_ state: inout State, now: Instant) {
        var unused: [(client: ClientKey, owed: Instant.Duration)] = []
        var index = state.entries.startIndex
        while index != state.entries.endIndex {
            if isKnownUniquelyReferenced(&state.entries.values[index]) {
                unused.append((state.entries[index].key, state.entries[index].value.owed(at: now)))
            }
            state.entries.formIndex(after: &index)
        }
        for entry in unused where entry.owed == .zero { state.entries[entry.client] = nil }
        if state.entries.count >= maximumCount {
            // Half of them at once, so that the next client doesn't sweep again.
            let owing = unused.filter { $0.owed > .zero }.sorted { $0.owed < $1.owed }
            for entry in owing.prefix((owing.count + 1) / 2) { state.entries[entry.client] = nil }
        }
        state.sweepAt = max(1024, 2 * state.entries.count)
    }
}
