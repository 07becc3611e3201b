/// How much may pass: so many units a second, and a burst on top. The compiled form of one `limits.*` key.
package struct Rate: Sendable {
    /// Time that one unit takes at the sustained rate. 0: no limit.
    package let nanosecondsPerUnit: Double
    /// What may pass at once after a quiet time, as time at the sustained rate.
    package let burst: Instant.Duration

    /// A rate of 0 turns the limit off.
    ///
    /// - Parameters:
    ///   - units: units in each `period` at the sustained rate
    ///   - burst: units that pass at once; at least one does
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

    /// So many times the units, with so many times the burst. A factor of 0 turns the limit off.
    package func multiplied(by factor: Double) -> Rate {
        guard factor > 0, !isUnlimited else { return .unlimited }
        // The burst stays the same as time.
        return Rate(nanosecondsPerUnit: nanosecondsPerUnit / factor, burst: burst)
    }

    package var isUnlimited: Bool { nanosecondsPerUnit == 0 }

    /// The time that units take at the sustained rate.
    package func cost(of units: Int64) -> Instant.Duration { .nanoseconds(Int64(min(Double(units) * nanosecondsPerUnit, 2e18))) }
}
