// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The notation of durations, sizes and numbers. Parsers return nil for invalid text and on overflow; formatters return the shortest text
/// that parses to the same value.
package enum ConfigurationNotation {
    private static let sizeUnits: [(suffix: String, bytes: Int)] = [
        ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000),
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1),
    ]

    /// Parses `100ms`, `30s`, `5m`, `24h`, `30d`; `0` needs no unit.
    package static func duration(_ text: String) -> Duration? { DurationNotation.milliseconds(text).map { .milliseconds($0) } }

    /// Formats a duration in the largest unit that divides it, but as `24h` rather than `1d`.
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        guard milliseconds != 0 else { return "0ms" }
        let unit = DurationNotation.units.first {
            milliseconds % $0.milliseconds == 0 && milliseconds != $0.milliseconds * ($0.suffix == "d" ? 1 : 0)
        }
        guard let unit else { return "\(milliseconds)ms" }
        return "\(milliseconds / unit.milliseconds)\(unit.suffix)"
    }

    /// Parses `512B`, `100KB` (1000), `64KiB` (1024), up to `TB` and `TiB`, or plain bytes.
    package static func size(_ text: String) -> Int? {
        guard let (number, suffix) = split(text), let unit = sizeUnits.first(where: { $0.suffix == suffix }) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit.bytes)
        return overflow ? nil : bytes
    }

    /// Formats a size in the largest unit that divides it; decimal units take precedence, so that 256000 is `256KB`, not `250KiB`.
    package static func text(size: Int) -> String {
        guard size != 0, let unit = sizeUnits.first(where: { size % $0.bytes == 0 }) else { return "0" }
        return "\(size / unit.bytes)\(unit.bytes == 1 ? "" : unit.suffix)"
    }

    /// Parses decimal digits only: no sign, no underscores, no exponent.
    package static func count(_ text: String) -> Int? {
        guard let (number, suffix) = split(text), suffix.isEmpty else { return nil }
        return number
    }

    /// Parses decimal digits, optionally followed by a point and more digits.
    package static func factor(_ text: String) -> Double? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(isDigit) }) else { return nil }
        return Double(text)
    }

    private static func split(_ text: String) -> (number: Int, suffix: String)? {
        let digits = text.utf8.prefix(while: isDigit)
        guard let number = Int(Substring(digits)) else { return nil }
        return (number, String(text.utf8.dropFirst(digits.count)) ?? "?")
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
