// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct UTCDayTests {
    private static let midnight: Int64 = 1_772_323_200_000  // 2026-03-01T00:00:00Z

    @Test func `a day begins at midnight in UTC`() {
        #expect(UTCDay(unixMilliseconds: Self.midnight - 1).description == "2026-02-28")
        #expect(UTCDay(unixMilliseconds: Self.midnight).description == "2026-03-01")
        #expect(UTCDay(unixMilliseconds: Self.midnight + 86_399_999).description == "2026-03-01")
        #expect(UTCDay(unixMilliseconds: Self.midnight).start == Self.midnight)
        #expect(UTCDay(unixMilliseconds: -1).description == "1969-12-31")
    }

    @Test(arguments: [
        (2024, 2, 29, true), (2026, 2, 29, false), (2000, 2, 29, true), (1900, 2, 29, false), (2026, 12, 31, true), (2026, 4, 31, false),
        (2026, 13, 1, false), (2026, 0, 1, false), (2026, 1, 0, false), (0, 1, 1, true), (9999, 12, 31, true), (10_000, 1, 1, false),
    ])
    func `only dates of the calendar are days`(year: Int, month: Int, day: Int, exists: Bool) {
        let found = UTCDay(year: year, month: month, day: day)
        #expect((found != nil) == exists)
        if let found { #expect(found.date == (year, month, day)) }
    }

    @Test func `29 February is followed by 1 March`() throws {
        let leap = try #require(UTCDay(year: 2024, month: 2, day: 29))
        #expect(leap.next.description == "2024-03-01")
        #expect(leap.monthStart.description == "2024-02-01")
        #expect(leap.monthStart(addingMonths: 1).description == "2024-03-01")
        #expect(leap.monthStart(addingMonths: -12).description == "2023-02-01")
    }

    @Test func `months continue across years`() throws {
        let day = try #require(UTCDay(year: 2026, month: 1, day: 31))
        #expect(day.monthStart(addingMonths: -1).description == "2025-12-01")
        #expect(day.monthStart(addingMonths: 12).description == "2027-01-01")
        #expect(try #require(UTCDay(year: 2026, month: 12, day: 31)).monthStart(addingMonths: 1).description == "2027-01-01")
    }

    @Test func `the first kept day is that of the same month a year before`() {
        #expect(UsageRow.firstKeptDay(wall: Self.midnight).description == "2025-03-01")
        #expect(UsageRow.firstKeptDay(wall: Self.midnight - 1).description == "2025-02-01")
    }

    @Test func `every day of 400 years has the date after the day before`() throws {
        var day = try #require(UTCDay(year: 1900, month: 1, day: 1))
        var days = 0
        while day.date.year < 2300 {
            let next = day.next
            let (year, month, date) = next.date
            #expect(UTCDay(year: year, month: month, day: date) == next)
            if date != 1 { #expect(date == day.date.day + 1) } else { #expect(next.monthStart == next) }
            day = next
            days += 1
        }
        #expect(days == 146_097)
    }

    @Test(arguments: [Int64.min, .max, -719_529, 2_932_897]) func `numbers outside the years 0 to 9999 are no days`(number: Int64) {
        #expect(UTCDay(number: number) == nil)
    }

    @Test func `times outside the years 0 to 9999 count as the nearest day`() {
        #expect(UTCDay(unixMilliseconds: .max).description == "9999-12-31")
        #expect(UTCDay(unixMilliseconds: .min).description == "0000-01-01")
        #expect(UTCDay(unixMilliseconds: .max).next.description == "9999-12-31")
    }
}
