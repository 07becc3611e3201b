// SPDX-License-Identifier: Apache-2.0

/// A text format for metrics.
package enum ExpositionFormat: Sendable, CaseIterable {
    /// Prometheus's text format, version 0.0.4.
    case prometheus
    /// OpenMetrics 1.0, which has exemplars.
    case openMetrics

    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// Chooses the format that a client prefers (RFC 9110 §12.5.1). At equal weights OpenMetrics precedes, because it can say more; a client
    /// that accepts neither gets Prometheus's format.
    ///
    /// - Parameter accept: the field `Accept`; nil if there is none
    package init(accept: String?) {
        var best: (format: ExpositionFormat, weight: Int)?
        for range in (accept ?? "").split(separator: ",") {
            guard let (format, weight) = Self.parse(range), weight > 0 else { continue }
            guard let current = best else {
                best = (format, weight)
                continue
            }
            if weight > current.weight || (weight == current.weight && format == .openMetrics) { best = (format, weight) }
        }
        self = best?.format ?? .prometheus
    }

    /// Returns the format and the weight in thousandths of a media range; nil if the range includes neither format.
    private static func parse(_ range: Substring) -> (ExpositionFormat, weight: Int)? {
        let parts = range.split(separator: ";").map { trim($0).lowercased() }
        guard let type = parts.first else { return nil }
        var (version, weight) = ("", 1000)
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1).map { trim($0) }
            guard pair.count == 2 else { continue }
            switch pair[0] {
            case "version": version = String(pair[1].filter { $0 != "\"" })
            case "q": weight = Double(pair[1]).map { Int(min(max($0.isFinite ? $0 : 0, 0), 1) * 1000) } ?? 0
            default: break
            }
        }
        switch type {
        case "application/openmetrics-text": return version.isEmpty || version == "1.0.0" ? (.openMetrics, weight) : nil
        case "text/plain": return version.isEmpty || version == "0.0.4" ? (.prometheus, weight) : nil
        case "text/*", "*/*": return (.prometheus, weight)
        default: return nil
        }
    }

    private static func trim(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
