// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The usage of one user in the current day and month, shared by all sessions of the user on all event loops.
package final class UserAccount: Sendable {
    package let user: String
    /// The table of the rows for usage reports; nil when they are stored with the sessions.
    let ledger: UsageLedger?
    private let state: Mutex<PeriodUsage>

    package init(user: String, ledger: UsageLedger? = nil, usage: PeriodUsage = PeriodUsage(today: UTCDay(unixMilliseconds: 0))) {
        self.user = user
        self.ledger = ledger
        state = Mutex(usage)
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
        return state.withLock { usage in
            usage.advance(to: today)
            usage.add(amounts, on: day ?? usage.today)
            // A correction never exceeds what was charged before, except around a change of the clock.
            if amounts.isCorrection { (usage.day, usage.month) = (usage.day.nonNegative, usage.month.nonNegative) }
            return usage
        }
    }

    /// Adds usage from before the account was created, as far as its day and month are still current.
    package func add(earlier: PeriodUsage) {
        state.withLock { usage in
            usage.advance(to: earlier.today)
            if usage.today == earlier.today { usage.day += earlier.day }
            if usage.today.monthStart == earlier.today.monthStart { usage.month += earlier.month }
        }
    }

    /// Counts a new request, unless a quota is exhausted. Checking and counting are one step, so that parallel sessions can't exceed the
    /// quota of messages.
    ///
    /// - Returns: the exhausted quota that is reset last and the time of the reset in Unix milliseconds; nil if the request is admitted
    package func admitRequest(_ quotas: SessionQuotas, wall: Int64) -> (quota: Quota, resetsAt: Int64)? {
        let today = UTCDay(unixMilliseconds: wall)
        return state.withLock { usage in
            usage.advance(to: today)
            if let quota = quotas.exhausted(usage) { return (quota, usage.end(of: quota.period)) }
            usage.day.messages = usage.day.messages.saturatingSum(1)
            usage.month.messages = usage.month.messages.saturatingSum(1)
            return nil
        }
    }

    package func usage(wall: Int64) -> PeriodUsage {
        let today = UTCDay(unixMilliseconds: wall)
        return state.withLock { usage in
            usage.advance(to: today)
            return usage
        }
    }
}
