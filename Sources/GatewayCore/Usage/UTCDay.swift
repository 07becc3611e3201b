// SPDX-License-Identifier: Apache-2.0

/// A day in UTC in the years 0 to 9999.
package struct UTCDay: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Days since 1970-01-01.
    package let number: Int32

    private static let milliseconds: Int64 = 86_400_000
    /// The numbers of 0000-01-01 and 9999-12-31.
    private static let numbers: ClosedRange<Int64> = -719_528...2_932_896

    private init(clamping number: Int64) {
        self.number = Int32(truncatingIfNeeded: min(max(number, Self.numbers.lowerBound), Self.numbers.upperBound))
    }

    /// Creates the day of a number, as stored; nil outside the years 0 to 9999.
    package init?(number: Int64) {
        guard Self.numbers.contains(number) else { return nil }
        self.init(clamping: number)
    }

    /// Creates the day that contains a time; times outside the years 0 to 9999 count as the nearest day.
    package init(unixMilliseconds: Int64) {
        let (days, rest) = unixMilliseconds.quotientAndRemainder(dividingBy: Self.milliseconds)
        self.init(clamping: rest < 0 ? days - 1 : days)
    }

    /// Creates the day of a date; nil if there is no such date.
    package init?(year: Int, month: Int, day: Int) {
        guard (0...9999).contains(year), (1...12).contains(month), (1...31).contains(day) else { return nil }
        self.init(clamping: GregorianDate(year: year, month: month, day: day).daysSince1970)
        guard date == (year, month, day) else { return nil }
    }

    package static func < (left: Self, right: Self) -> Bool { left.number < right.number }

    /// The beginning of the day in Unix milliseconds.
    package var start: Int64 { Int64(number) * Self.milliseconds }
    package var next: UTCDay { UTCDay(clamping: Int64(number) + 1) }

    /// The first day of the month.
    package var monthStart: UTCDay {
        let (year, month, _) = date
        return UTCDay(clamping: GregorianDate(year: year, month: month, day: 1).daysSince1970)
    }

    /// The first day of the month that is `count` months later, or earlier if negative.
    package func monthStart(addingMonths count: Int) -> UTCDay {
        let (year, month, _) = date
        let index = year * 12 + month - 1 + count
        let years = index >= 0 ? index / 12 : (index - 11) / 12
        return UTCDay(clamping: GregorianDate(year: years, month: index - years * 12 + 1, day: 1).daysSince1970)
    }

    /// Year, month and day of the Gregorian calendar.
    package var date: (year: Int, month: Int, day: Int) {
        let date = GregorianDate(daysSince1970: Int64(number))
        return (date.year, date.month, date.day)
    }

    /// The date of RFC 3339: `2026-02-28`.
    package var description: String {
        let (year, month, day) = date
        func padded(_ number: Int, _ digits: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }
}
