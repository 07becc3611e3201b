// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The format of a report.
package enum ReportFormat: String, Sendable, Hashable, CaseIterable {
    case json, csv, html

    package var contentType: String {
        switch self {
        case .json: "application/json"
        case .csv: "text/csv; charset=utf-8"
        case .html: "text/html; charset=utf-8"
        }
    }

    /// Selects the format that an `Accept` field prefers (RFC 9110 §12.5.1): JSON if it accepts any; nil if it accepts none of them.
    package init?(accept: String) {
        var best: (format: ReportFormat, weight: Double)?
        for range in accept.split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.trimming() }
            guard let name = parts.first?.lowercased() else { continue }
            var weight = 1.0
            for parameter in parts.dropFirst() where parameter.lowercased().hasPrefix("q=") {
                weight = min(1, max(0, Double(parameter.dropFirst(2)) ?? 0))
            }
            let format: ReportFormat? =
                switch name {
                case "application/json", "application/*", "*/*": .json
                case "text/html", "application/xhtml+xml", "text/*": .html
                case "text/csv": .csv
                default: nil
                }
            if let format, weight > best?.weight ?? 0 { best = (format, weight) }
        }
        guard let best else {
            guard accept.allSatisfy({ $0 == " " }) else { return nil }
            self = .json
            return
        }
        self = best.format
    }
}

extension Substring {
    fileprivate func trimming() -> Substring {
        var rest = self
        while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return rest
    }
}

extension ReportDepth {
    package init(_ content: ReportContent) { self = content == .full ? .full : .metadata }
}
