// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct HistogramTests {
    @Test(arguments: [
        (UInt64(0), UInt64(1)), (1, 1), (2, 2), (99, 99), (100, 100), (101, 110), (110, 110), (111, 120), (990, 990), (991, 1000),
        (1000, 1000), (1001, 1100), (2500, 2500), (2501, 2600), (999_999, 1_000_000), (1_000_000, 1_000_000), (1_000_001, 1_100_000),
    ])
    func `a bucket includes its upper bound`(value: UInt64, bound: UInt64) {
        #expect(Histogram.upperBound(of: Histogram.index(of: value)) == bound)
    }

    @Test func `the buckets are in ascending order, and each contains its bound and the next value doesn't`() {
        var previous: UInt64 = 0
        for index in 0..<Histogram.bucketCount - 1 {
            let bound = Histogram.upperBound(of: index)
            #expect(bound > previous)
            #expect(Histogram.index(of: bound) == index)
            #expect(Histogram.index(of: bound + 1) == index + 1)
            // 10 % of the bound below, or exact.
            #expect(bound <= 100 || bound - previous <= previous / 10)
            previous = bound
        }
        #expect(previous == Histogram.highestBound)
    }

    @Test(arguments: [Histogram.highestBound + 1, UInt64.max])
    func `a value beyond the highest bound is in the last bucket`(value: UInt64) {
        #expect(Histogram.index(of: value) == Histogram.bucketCount - 1)
        #expect(Histogram.upperBound(of: Histogram.bucketCount - 1) == Histogram.highestBound)
    }

    @Test func `every number with two significant digits is the bound of a bucket`() {
        var power: UInt64 = 1
        while power * 99 < Histogram.highestBound {
            for digits in UInt64(1)...99 {
                let bound = digits * power
                #expect(Histogram.upperBound(of: Histogram.index(of: bound)) == bound)
            }
            power *= 10
        }
    }

    @Test func `counts up to a bound include the bound, and the count includes values beyond all bounds`() {
        var histogram = Histogram()
        for value in [0, 9, 10, 11, 99, 100, 101, 5000] { histogram.record(Int64(value)) }
        #expect(histogram.cumulativeCounts(upTo: [10, 100, 1000]) == [3, 6, 7])
        #expect(histogram.count == 8)
        #expect(histogram.sum == 5330)
    }

    @Test func `a value that is recorded several times counts as often, and a negative value as 0`() {
        var histogram = Histogram()
        histogram.record(50, times: 3)
        histogram.record(-1)
        #expect(histogram.cumulativeCounts(upTo: [1, 49, 50]) == [1, 1, 4])
        #expect(histogram.sum == 150)
        #expect(Histogram().value(at: 0.5) == nil)
    }

    @Test func `the sum of two histograms has the values of both`() {
        var (left, right) = (Histogram(), Histogram())
        left.record(10)
        right.record(10, times: 2)
        right.record(2000)
        left.add(right)
        #expect(left.cumulativeCounts(upTo: [9, 10, 2000]) == [0, 3, 4])
        #expect(left.count == 4 && left.sum == 2030)
    }

    @Test(arguments: [(0.0, UInt64(1)), (0.5, 50), (0.99, 99), (1, 100)])
    func `a quantile is the bound of the bucket in which its share is reached`(quantile: Double, value: UInt64) {
        var histogram = Histogram()
        for number in 1...100 { histogram.record(Int64(number)) }
        #expect(histogram.value(at: quantile) == value)
    }
}
