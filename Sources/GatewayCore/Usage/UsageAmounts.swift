// SPDX-License-Identifier: Apache-2.0

/// Amounts of each resource that were used, in integers, so that sums are exact. Arithmetic saturates.
package struct UsageAmounts: Sendable, Hashable {
    package var messages: Int64 = 0
    /// Microseconds of audio received from the client.
    package var audioIn: Int64 = 0
    /// Microseconds of audio sent to the client.
    package var audioOut: Int64 = 0
    package var inputTokens: Int64 = 0
    package var outputTokens: Int64 = 0
    /// Millionths of the unit of the configured prices.
    package var cost: Int64 = 0

    package init() {}

    package init(messages: Int64) { self.messages = messages }

    package static let zero = UsageAmounts()

    package static func += (sum: inout Self, more: Self) { sum = sum.combined(with: more) { $0.saturatingSum($1) } }

    package static func - (left: Self, right: Self) -> Self { left.combined(with: right) { $0.saturatingDifference($1) } }

    /// The same amounts, with 0 in place of negative ones.
    package var nonNegative: Self { combined(with: .zero) { max($0, $1) } }

    /// Whether any amount is negative, as in a correction of an estimate that was too high.
    package var isCorrection: Bool {
        messages < 0 || audioIn < 0 || audioOut < 0 || inputTokens < 0 || outputTokens < 0 || cost < 0
    }

    @inline(__always)
    private func combined(with other: Self, _ combine: (Int64, Int64) -> Int64) -> Self {
        var result = Self()
        result.messages = combine(messages, other.messages)
        result.audioIn = combine(audioIn, other.audioIn)
        result.audioOut = combine(audioOut, other.audioOut)
        result.inputTokens = combine(inputTokens, other.inputTokens)
        result.outputTokens = combine(outputTokens, other.outputTokens)
        result.cost = combine(cost, other.cost)
        return result
    }

    /// The amount of a resource, in the integer unit of its property.
    package subscript(resource: Quota.Resource) -> Int64 {
        switch resource {
        case .messages: messages
        case .audioSecondsIn: audioIn
        case .audioSecondsOut: audioOut
        case .inputTokens: inputTokens
        case .outputTokens: outputTokens
        case .cost: cost
        }
    }

    /// The amount of a resource in the unit of its quota: a count, seconds, or the unit of the configured prices.
    package func value(_ resource: Quota.Resource) -> Double { Double(self[resource]) / resource.scale }
}

extension Quota.Resource {
    /// How many units of ``UsageAmounts`` make one unit of the quota.
    var scale: Double {
        switch self {
        case .messages, .inputTokens, .outputTokens: 1
        case .audioSecondsIn, .audioSecondsOut, .cost: 1e6
        }
    }
}

/// The amounts that a user has used in the current day and month.
package struct PeriodUsage: Sendable, Hashable {
    package var today: UTCDay
    package var day = UsageAmounts()
    package var month = UsageAmounts()

    package init(today: UTCDay) { self.today = today }

    /// The amounts of a period.
    package func amounts(in period: Quota.Period) -> UsageAmounts { period == .day ? day : month }

    /// The end of a period in Unix milliseconds.
    package func end(of period: Quota.Period) -> Int64 {
        switch period {
        case .day: today.next.start
        case .month: today.monthStart(addingMonths: 1).start
        }
    }

    /// Adds amounts of a day to the day and month, as far as they are current.
    package mutating func add(_ amounts: UsageAmounts, on day: UTCDay) {
        guard day < today else {
            self.day += amounts
            return month += amounts
        }
        if day.monthStart == today.monthStart { month += amounts }
    }

    /// Replaces negative amounts by 0.
    mutating func removeDebts() { (day, month) = (day.nonNegative, month.nonNegative) }

    /// Begins a new day, or a new month, if `today` is in one.
    mutating func advance(to today: UTCDay) {
        // A day before the current one means that the clock was set back. By one day it may go at midnight, which is ignored; after a
        // larger step the clock was wrong before, and the periods begin again.
        guard today > self.today || today.number < self.today.number - 1 else { return }
        if today.monthStart != self.today.monthStart { month = .zero }
        day = .zero
        self.today = today
    }
}
