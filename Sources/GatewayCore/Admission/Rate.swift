// SPDX-License-Identifier: Apache-2.0

/// A sustained rate and a burst: the compiled form of one `limits.*` key.
package struct Rate: Sendable {
    /// The time that one unit takes at the sustained rate; 0 means no limit.
    package let nanosecondsPerUnit: Double
    /// The units admitted at once after a quiet period, as time at the sustained rate.
    package let burst: Instant.Duration

    /// A rate of 0 turns the limit off.
    ///
    /// - Parameters:
    ///   - units: units in each `period` at the sustained rate
    ///   - burst: units admitted at once; values below 1 count as 1
    package init(units: Double, per period: Instant.Duration, burst: Double) {
        guard units > 0 else {
            self = .unlimited
            return
        }
        nanosecondsPerUnit = Double(period.nanoseconds) / units
        self.burst = .nanoseconds(Int64(min(max(burst, 1) * nanosecondsPerUnit, 4e18).rounded()))
    }

    private init(nanosecondsPerUnit: Double = 0, burst: Instant.Duration = .zero) {
        self.nanosecondsPerUnit = nanosecondsPerUnit
        self.burst = burst
    }

    package static let unlimited = Rate()

    /// Returns the rate with `factor` times the units and `factor` times the burst. A factor of 0 turns the limit off.
    package func multiplied(by factor: Double) -> Rate {
        guard factor > 0, !isUnlimited else { return .unlimited }
        // Expressed as time, the burst stays the same.
        return Rate(nanosecondsPerUnit: nanosecondsPerUnit / factor, burst: burst)
    }

    /// The units of the burst, at least 1; 0 without a limit.
    package var burstUnits: Int64 {
        isUnlimited ? 0 : max(1, Int64(min(Double(burst.nanoseconds) / nanosecondsPerUnit, 1e15).rounded()))
    }

    package var isUnlimited: Bool { nanosecondsPerUnit == 0 }

    /// Returns the time that `units` take at the sustained rate.
    package func cost(of units: Int64) -> Instant.Duration { .nanoseconds(Int64(min(Double(units) * nanosecondsPerUnit, 2e18))) }
}
