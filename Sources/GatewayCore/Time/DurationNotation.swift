// SPDX-License-Identifier: Apache-2.0

/// The notation of durations in the configuration, in tokens and in requests of operators.
package enum DurationNotation {
    /// The units, the largest first.
    package static let units: [(suffix: String, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]

    /// Parses `100ms`, `30s`, `5m`, `24h`, `30d` to milliseconds; `0` needs no unit. Nil for invalid text and on overflow.
    package static func milliseconds(_ text: String) -> Int64? {
        if text == "0" { return 0 }
        let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let suffix = text.utf8.dropFirst(digits.count)
        guard let number = Int64(Substring(digits)), let unit = units.first(where: { $0.suffix.utf8.elementsEqual(suffix) }) else {
            return nil
        }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: unit.milliseconds)
        return overflow ? nil : milliseconds
    }
}
