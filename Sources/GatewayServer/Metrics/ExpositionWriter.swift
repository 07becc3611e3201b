// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Writes metrics in one of the text formats.
struct ExpositionWriter {
    private let format: ExpositionFormat
    private var family: MetricFamily?
    private(set) var bytes: [UInt8] = []

    init(_ format: ExpositionFormat) {
        self.format = format
        bytes.reserveCapacity(128 * 1024)
    }

    /// Ends the exposition. OpenMetrics requires a last line by which a reader detects a truncated response.
    mutating func finish() {
        if format == .openMetrics { append("# EOF\n") }
    }

    /// Begins a metric, to which the following samples belong.
    mutating func begin(_ family: MetricFamily) {
        self.family = family
        // In OpenMetrics the suffix `_total` belongs to the sample, in Prometheus's format to the metric.
        let name = format == .openMetrics ? family.baseName : family.name
        append("# HELP \(name) ")
        appendEscaped(family.help, escapesQuotes: format == .openMetrics)
        append("\n# TYPE \(name) \(family.kind.rawValue)\n")
        if format == .openMetrics, let unit = family.unit { append("# UNIT \(name) \(unit)\n") }
    }

    /// Writes a sample of a counter or gauge.
    ///
    /// - Parameters:
    ///   - values: the values of the metric's labels, in their order
    ///   - exemplar: an event that the counter counts
    mutating func sample(_ values: [String], _ value: some BinaryInteger, exemplar: Exemplar? = nil) {
        sample(values, text: "\(value)", exemplar: exemplar)
    }

    mutating func sample(_ values: [String], _ value: Double) { sample(values, text: Self.text(value, format), exemplar: nil) }

    private mutating func sample(_ values: [String], text: String, exemplar: Exemplar?) {
        guard let family else { return }
        append(family.name)
        appendLabels(family.labels, values)
        append(" \(text)")
        if let exemplar, format == .openMetrics { append(exemplar) }
        append("\n")
    }

    /// Writes the samples of a histogram: a bucket for each bound, the sum and the count.
    mutating func sample(_ values: [String], _ histogram: Histogram) {
        guard let family else { return }
        let counts = histogram.cumulativeCounts(upTo: family.bounds.integers)
        for (bound, count) in zip(family.bounds.values, counts) {
            appendBucket(family, values, bound: Self.text(bound, format), count)
        }
        appendBucket(family, values, bound: "+Inf", histogram.count)
        append("\(family.baseName)_sum")
        appendLabels(family.labels, values)
        append(" \(Self.text(Double(histogram.sum) / family.bounds.scale, format))\n\(family.baseName)_count")
        appendLabels(family.labels, values)
        append(" \(histogram.count)\n")
    }

    private mutating func appendBucket(_ family: MetricFamily, _ values: [String], bound: String, _ count: UInt64) {
        append("\(family.baseName)_bucket")
        appendLabels(family.labels, values, bound: bound)
        append(" \(count)\n")
    }

    private mutating func append(_ exemplar: Exemplar) {
        let (seconds, milliseconds) = exemplar.wall.quotientAndRemainder(dividingBy: 1000)
        let fraction = "\(1000 + milliseconds)".dropFirst()
        append(" # {correlation_id=\"\(exemplar.correlationID)\"} 1 \(seconds).\(fraction)")
    }

    private mutating func appendLabels(_ labels: [MetricFamily.Label], _ values: [String], bound: String? = nil) {
        guard !labels.isEmpty || bound != nil else { return }
        var separator = "{"
        for (label, value) in zip(labels, values) {
            append("\(separator)\(label.name)=\"")
            appendEscaped(value, escapesQuotes: true)
            append("\"")
            separator = ","
        }
        if let bound { append("\(separator)le=\"\(bound)\"") }
        append("}")
    }

    /// Escapes a label value or help text: backslash, line feed and, where required, the quotation mark.
    private mutating func appendEscaped(_ text: String, escapesQuotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            case UInt8(ascii: "\"") where escapesQuotes: append("\\\"")
            default: bytes.append(byte)
            }
        }
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// Returns a number as both formats require it. OpenMetrics has one spelling for each bound of a bucket: `1.0`, `1e-05`, `1e+06`.
    static func text(_ value: Double, _ format: ExpositionFormat) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf" }
        let text = value.description
        guard text.hasSuffix(".0") else { return text }
        let whole = text.dropLast(2)
        if whole.count >= 7, whole.count <= 10, value > 0, whole.dropFirst(3).allSatisfy({ $0 == "0" }) {
            // At most three digits, as the bounds have: shorter as a power of ten.
            var mantissa = "\(whole.prefix(1)).\(whole.dropFirst().prefix(2))"
            while mantissa.hasSuffix("0") { mantissa.removeLast() }
            if mantissa.hasSuffix(".") { mantissa.removeLast() }
            return "\(mantissa)e+0\(whole.count - 1)"
        }
        return format == .openMetrics ? text : String(whole)
    }
}
