// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The rows for usage reports in memory, for `store.kind: memory`: at most ``maximumCount``, until the process ends.
package final class UsageLedger: Sendable {
    private let state = Mutex<[UTCDay: [UsageRow: UsageAmounts]]>([:])
    private let maximumCount: Int

    /// - Parameter maximumCount: the number of rows above which the oldest days are removed, except the newest day
    package init(maximumCount: Int = 100_000) { self.maximumCount = maximumCount }

    package var count: Int { state.withLock { Self.count($0) } }

    private static func count(_ days: [UTCDay: [UsageRow: UsageAmounts]]) -> Int { days.values.reduce(0) { $0 + $1.count } }

    /// Adds amounts to a row. A new row of the newest day isn't added when the table is full with that day alone.
    package func add(_ amounts: UsageAmounts, to row: UsageRow) {
        state.withLock { days in
            if days[row.day]?[row] == nil {
                while days.count > 1, Self.count(days) >= maximumCount, let oldest = days.keys.min() { days[oldest] = nil }
                guard Self.count(days) < maximumCount else { return }
            }
            days[row.day, default: [:]][row, default: .zero] += amounts
        }
    }

    /// Removes the rows of days before `day`.
    package func removeRows(before day: UTCDay) { state.withLock { days in days = days.filter { $0.key >= day } } }

    /// All rows of a range of days, in no order.
    package func rows(in days: Range<UTCDay>) -> [(row: UsageRow, amounts: UsageAmounts)] {
        state.withLock { state in
            state.filter { days.contains($0.key) }.values.flatMap { rows in rows.map { ($0.key, $0.value) } }
        }
    }
}
