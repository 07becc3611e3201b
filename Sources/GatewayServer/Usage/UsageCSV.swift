// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Usage as CSV (RFC 4180), with Unix milliseconds, exact decimal numbers, and cells that no spreadsheet parses as a formula.
enum UsageCSV {
    static func header(_ grouping: [UsageQuery.Column]) -> String {
        line(["from", "to"] + grouping.map(\.rawValue) + Quota.Resource.allCases.map(\.rawValue))
    }

    static func line(_ sum: UsageSum, of query: UsageQuery) -> String {
        let entry = UsagePage.Entry(sum, of: query)
        let values = zip(query.grouping, sum.values).map { $0 == .day ? $1 : CSVCell.text($1) }
        let amounts = sum.amounts
        return line(
            ["\(entry.from)", "\(entry.to)"] + values + [
                "\(amounts.messages)", decimal(amounts.audioIn), decimal(amounts.audioOut), "\(amounts.inputTokens)",
                "\(amounts.outputTokens)", decimal(amounts.cost),
            ])
    }

    private static func line(_ cells: [String]) -> String { cells.joined(separator: ",") + "\r\n" }

    /// Formats millionths exactly: `12.5`, `0.000001`.
    static func decimal(_ millionths: Int64) -> String {
        let (whole, rest) = millionths.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
        let sign = millionths < 0 ? "-" : ""
        guard rest > 0 else { return "\(sign)\(whole)" }
        var digits = "\(1_000_000 + rest)".dropFirst()
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(sign)\(whole).\(digits)"
    }
}
