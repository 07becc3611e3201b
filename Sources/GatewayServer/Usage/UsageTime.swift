// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

extension UTCDay {
    /// Parses a date of RFC 3339: `2026-02-28`.
    package init?(date text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.map(\.utf8.count) == [4, 2, 2], let year = digits(parts[0]), let month = digits(parts[1]),
            let day = digits(parts[2])
        else { return nil }
        self.init(year: year, month: month, day: day)
    }
}

/// A time in a query: an RFC 3339 date or date and time, or Unix milliseconds.
package enum UsageTime {
    /// Parses a time; returns Unix milliseconds, or nil for another text. A date is its beginning in UTC.
    package static func milliseconds(_ text: String) -> Int64? {
        if let number = Int64(text) { return number }
        if let day = UTCDay(date: text) { return day.start }
        // "2026-02-28T12:00:00.5+01:00": RFC 3339 section 5.6.
        guard text.utf8.count >= 20, let day = UTCDay(date: text.prefix(10)), "Tt".contains(text.dropFirst(10).prefix(1)) else {
            return nil
        }
        let rest = text.dropFirst(11)
        guard let zone = rest.firstIndex(where: { "Zz+-".contains($0) }), let offset = Self.offset(rest[zone...]),
            let time = Self.time(rest[..<zone])
        else { return nil }
        return day.start + time - offset
    }

    /// Parses `12:00:00`, with an optional fraction.
    private static func time(_ text: Substring) -> Int64? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = parts[0].split(separator: ":", omittingEmptySubsequences: false)
        guard numbers.count == 3, numbers.allSatisfy({ $0.utf8.count == 2 }), let hours = digits(numbers[0]), hours < 24,
            let minutes = digits(numbers[1]), minutes < 60, let seconds = digits(numbers[2]), seconds <= 60
        else { return nil }
        var milliseconds = 0
        if parts.count == 2 {
            guard (1...9).contains(parts[1].utf8.count), digits(parts[1]) != nil else { return nil }
            milliseconds = digits((parts[1] + "00").prefix(3)) ?? 0
        }
        return Int64(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)
    }

    /// Parses `Z`, `+01:00` or `-01:00`; returns milliseconds.
    private static func offset(_ text: Substring) -> Int64? {
        if text == "Z" || text == "z" { return 0 }
        let numbers = text.dropFirst().split(separator: ":", omittingEmptySubsequences: false)
        guard numbers.count == 2, numbers.allSatisfy({ $0.utf8.count == 2 }), let hours = digits(numbers[0]), hours < 24,
            let minutes = digits(numbers[1]), minutes < 60
        else { return nil }
        return Int64((hours * 60 + minutes) * 60_000) * (text.first == "-" ? -1 : 1)
    }
}

/// Parses a number of up to 9 decimal digits without a sign.
private func digits(_ text: some StringProtocol) -> Int? {
    guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
}
