// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The usage of one user in the current day and month, shared by all sessions of the user on all event loops.
package final class UserAccount: Sendable {
    package let user: String
    /// The table of the rows for usage reports; nil when they are stored with the sessions.
    let ledger: UsageLedger?
    private let state: Mutex<State>

    private struct State {
        var usage: PeriodUsage
        /// The stored usage of ``storedDay`` as of the last reply of a shared store.
        var stored = UsageAmounts.zero
        var storedDay: UTCDay?
    }

    package init(user: String, ledger: UsageLedger? = nil, usage: PeriodUsage = PeriodUsage(today: UTCDay(unixMilliseconds: 0))) {
        self.user = user
        self.ledger = ledger
        state = Mutex(State(usage: usage))
    }

    /// Adds amounts to the day and month that contain `day`, as far as they are current.
    ///
    /// - Parameters:
    ///   - day: the day to charge; nil for today
    ///   - wall: Unix milliseconds
    /// - Returns: the usage afterwards
    @discardableResult
    package func add(_ amounts: UsageAmounts, on day: UTCDay? = nil, wall: Int64) -> PeriodUsage {
        let today = UTCDay(unixMilliseconds: wall)
        return state.withLock { state in
            state.usage.advance(to: today)
            state.usage.add(amounts, on: day ?? state.usage.today)
            // A correction never exceeds what was charged before, except around a change of the clock.
            if amounts.isCorrection { state.usage.removeDebts() }
            return state.usage
        }
    }

    /// Adds usage from before the account was created, as far as its day and month are still current.
    package func add(earlier: PeriodUsage) {
        state.withLock { state in
            state.usage.advance(to: earlier.today)
            if state.usage.today == earlier.today { state.usage.day += earlier.day }
            if state.usage.today.monthStart == earlier.today.monthStart { state.usage.month += earlier.month }
            (state.stored, state.storedDay) = (earlier.day, earlier.today)
        }
    }

    /// Adds the usage that other gateways have stored since the last call or ``add(earlier:)``.
    ///
    /// To be called in the order in which the store replied, for each addition of this gateway.
    ///
    /// - Parameters:
    ///   - total: the stored usage of the day, the addition included
    ///   - own: the addition, which the account already has; zero for a query
    package func update(stored total: UsageAmounts, including own: UsageAmounts, on day: UTCDay) {
        state.withLock { state in
            // The account has only what this gateway adds to a day that has ended.
            if let known = state.storedDay, day < known { return }
            var expected = state.storedDay == day ? state.stored : .zero
            expected += own
            (state.stored, state.storedDay) = (total, day)
            guard total != expected else { return }
            // A commit may be late; the account is of a later day then.
            if day > state.usage.today { state.usage.advance(to: day) }
            state.usage.add(total - expected, on: day)
            state.usage.removeDebts()
        }
    }

    /// Counts a new request, unless a quota is exhausted. Checking and counting are one step, so that parallel sessions can't exceed the
    /// quota of messages.
    ///
    /// - Returns: the exhausted quota that is reset last and the time of the reset in Unix milliseconds; nil if the request is admitted
    package func admitRequest(_ quotas: SessionQuotas, wall: Int64) -> (quota: Quota, resetsAt: Int64)? {
        let today = UTCDay(unixMilliseconds: wall)
        return state.withLock { state in
            state.usage.advance(to: today)
            if let quota = quotas.exhausted(state.usage) { return (quota, state.usage.end(of: quota.period)) }
            state.usage.day.messages = state.usage.day.messages.saturatingSum(1)
            state.usage.month.messages = state.usage.month.messages.saturatingSum(1)
            return nil
        }
    }

    package func usage(wall: Int64) -> PeriodUsage {
        let today = UTCDay(unixMilliseconds: wall)
        return state.withLock { state in
            state.usage.advance(to: today)
            return state.usage
        }
    }
}
