// SPDX-License-Identifier: Apache-2.0

/// A value of a label: one of a closed set, never anything that a client or an upstream sent.
package protocol MetricLabel: CaseIterable, Hashable, Sendable {
    /// The position among `allCases`.
    var ordinal: Int { get }
    /// The text in the exposition.
    var label: String { get }
}

extension MetricLabel where Self: RawRepresentable, RawValue == Int {
    package var ordinal: Int { rawValue }
}

extension MetricLabel where Self: RawRepresentable, RawValue == String {
    package var label: String { rawValue }
}

/// One counter for each value of a label. Plain integers, because only one event loop accesses them.
package struct Counters<Label: MetricLabel>: Sendable {
    private var counts = [UInt64](repeating: 0, count: Label.allCases.count)

    package init() {}

    package subscript(label: Label) -> UInt64 { counts[label.ordinal] }

    /// The sum of all counters.
    package var total: UInt64 { counts.reduce(0, &+) }

    /// The values of the label with their counters, in the order of declaration.
    package var all: [(label: Label, count: UInt64)] { Label.allCases.map { ($0, counts[$0.ordinal]) } }

    package mutating func add(_ label: Label, _ count: UInt64 = 1) { counts[label.ordinal] &+= count }

    /// Adds the counters of another event loop.
    package mutating func add(_ other: Counters) {
        for index in counts.indices { counts[index] &+= other.counts[index] }
    }
}
