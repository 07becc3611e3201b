// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// A metric: its name, type, help text and labels.
package struct MetricFamily: Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// A label and the values that it can have.
    package struct Label: Sendable {
        package let name: String
        /// The values in the order of the exposition; nil if they are names and addresses of the configuration.
        package let values: [String]?

        /// A label whose values are names or addresses of the configuration.
        init(_ name: String) {
            self.name = name
            values = nil
        }

        init(_ name: String, values: [String]) {
            self.name = name
            self.values = values
        }

        init<Values: MetricLabel>(_ name: String, _ type: Values.Type) { self.init(name, values: Values.allCases.map(\.label)) }
    }

    /// The bounds of a histogram's buckets.
    struct Bounds: Sendable {
        /// In the unit of the metric, in ascending order.
        let values: [Double]
        /// The recorded integers for one unit of the metric.
        let scale: Double

        /// The same in the recorded integers.
        var integers: [UInt64] { values.map { UInt64(($0 * scale).rounded()) } }

        static func seconds(_ values: [Double]) -> Bounds { Bounds(values: values, scale: 1_000_000_000) }
        static func bytes(_ values: [Double]) -> Bounds { Bounds(values: values, scale: 1) }
        static func ratio(_ values: [Double]) -> Bounds { Bounds(values: values, scale: 1_000_000) }
    }

    /// The name without the suffix `_total` of a counter.
    let baseName: String
    package let kind: Kind
    package let help: String
    package let labels: [Label]
    /// The bounds of a histogram; empty for the other kinds.
    let bounds: Bounds

    private init(_ name: String, _ kind: Kind, _ help: String, _ labels: [Label], bounds: Bounds) {
        baseName = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.bounds = bounds
    }

    /// - Parameter name: without the suffix `_total`
    static func counter(_ name: String, _ help: String, _ labels: [Label] = []) -> MetricFamily {
        MetricFamily(name, .counter, help, labels, bounds: .bytes([]))
    }

    static func gauge(_ name: String, _ help: String, _ labels: [Label] = []) -> MetricFamily {
        MetricFamily(name, .gauge, help, labels, bounds: .bytes([]))
    }

    static func histogram(_ name: String, _ bounds: Bounds, _ help: String, _ labels: [Label] = []) -> MetricFamily {
        MetricFamily(name, .histogram, help, labels, bounds: bounds)
    }

    /// The name as in a query: with the suffix `_total` for a counter, and without the suffixes `_bucket`, `_sum` and `_count` of a
    /// histogram.
    package var name: String { kind == .counter ? baseName + "_total" : baseName }

    /// The unit for OpenMetrics, which must be the end of the name; nil if there is none.
    var unit: String? { ["seconds", "bytes", "ratio"].first { baseName.hasSuffix("_" + $0) } }
}
