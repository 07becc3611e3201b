// SPDX-License-Identifier: Apache-2.0

/// A histogram of integers with fixed log-linear buckets: values up to 100 have a bucket each, and each further power of ten is divided
/// into 90 buckets of equal width. A value therefore differs from the bound of its bucket by at most 10 %.
///
/// The unit is the caller's: nanoseconds, bytes, millionths. Recording is an increment of plain integers and allocates nothing, as long as
/// the histogram isn't copied: ``add(_:)`` to an empty histogram gives a copy that shares no memory.
package struct Histogram: Sendable {
    /// The number of buckets: 100 for the values up to 100, 90 for each further power of ten, and one for values beyond
    /// ``highestBound``.
    package static let bucketCount = exactCount + 90 * (highestPower - 2) + 1
    /// The bound of the last bucket but one: 10^14, in nanoseconds 28 hours.
    package static let highestBound = powers[highestPower]

    private static let exactCount = 100
    private static let highestPower = 14
    private static let powers: [UInt64] = (0...19).map { exponent in (0..<exponent).reduce(1) { power, _ in power * 10 } }

    private var buckets = [UInt64](repeating: 0, count: bucketCount)
    /// The number of recorded values.
    package private(set) var count: UInt64 = 0
    /// The sum of the recorded values.
    package private(set) var sum: UInt64 = 0

    package init() {}

    /// Records a value.
    ///
    /// - Parameters:
    ///   - value: a negative value counts as 0
    ///   - times: how often the value was measured
    package mutating func record(_ value: Int64, times: UInt64 = 1) {
        let value = UInt64(max(0, value))
        buckets[Self.index(of: value)] &+= times
        count &+= times
        sum &+= value &* times
    }

    package mutating func record(_ duration: Instant.Duration) { record(duration.nanoseconds) }

    /// Adds the values of another histogram.
    package mutating func add(_ other: Histogram) {
        for index in buckets.indices { buckets[index] &+= other.buckets[index] }
        count &+= other.count
        sum &+= other.sum
    }

    /// Returns the values that were recorded since an earlier state of the same histogram.
    package func since(_ earlier: Histogram) -> Histogram {
        var difference = Histogram()
        for index in buckets.indices { difference.buckets[index] = buckets[index] &- min(buckets[index], earlier.buckets[index]) }
        difference.count = count &- min(count, earlier.count)
        difference.sum = sum &- min(sum, earlier.sum)
        return difference
    }

    /// Returns the number of values up to each bound, which must be in ascending order.
    ///
    /// The numbers are exact for a bound that is a bound of a bucket, as every integer with at most two significant digits is.
    package func cumulativeCounts(upTo bounds: [UInt64]) -> [UInt64] {
        var result: [UInt64] = []
        result.reserveCapacity(bounds.count)
        var (index, total) = (0, UInt64(0))
        for bound in bounds {
            let last = Self.index(of: bound)
            while index <= last {
                total &+= buckets[index]
                index += 1
            }
            result.append(total)
        }
        return result
    }

    /// Returns the bound of the bucket in which the share `quantile` of the values is reached; nil without values.
    ///
    /// - Parameter quantile: 0 to 1
    package func value(at quantile: Double) -> UInt64? {
        guard count > 0 else { return nil }
        let rank = max(1, Double(count) * min(max(quantile, 0), 1))
        var total: UInt64 = 0
        for (index, bucket) in buckets.enumerated() where bucket > 0 {
            total &+= bucket
            if Double(total) >= rank { return Self.upperBound(of: index) }
        }
        return Self.highestBound
    }

    // MARK: Buckets

    /// Returns the index of the bucket for a value. A bucket contains its upper bound.
    package static func index(of value: UInt64) -> Int {
        // The bounds are inclusive, so the digits of the predecessor determine the bucket.
        let previous = value == 0 ? 0 : value - 1
        if previous < UInt64(exactCount) { return Int(previous) }
        guard previous < highestBound else { return bucketCount - 1 }
        // The number of binary digits gives the power of ten, or the one above.
        let estimate = ((64 - previous.leadingZeroBitCount) * 1233) >> 12
        let power = previous < powers[estimate] ? estimate - 1 : estimate
        return exactCount + 90 * (power - 2) + Int(previous / powers[power - 1]) - 10
    }

    /// Returns the largest value of a bucket; for the last bucket, which has no bound, ``highestBound``.
    package static func upperBound(of index: Int) -> UInt64 {
        guard index >= exactCount else { return UInt64(index + 1) }
        let (power, digits) = (index - exactCount).quotientAndRemainder(dividingBy: 90)
        guard power + 2 < highestPower else { return highestBound }
        return UInt64(digits + 11) * powers[power + 1]
    }
}
