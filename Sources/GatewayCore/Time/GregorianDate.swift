// SPDX-License-Identifier: Apache-2.0

/// A date of the Gregorian calendar, before 1582 the proleptic one.
package struct GregorianDate: Hashable, Sendable {
    package let year: Int
    /// 1 to 12
    package let month: Int
    package let day: Int

    /// The date isn't checked; a day beyond the end of the month counts on in the next one.
    package init(year: Int, month: Int, day: Int) {
        (self.year, self.month, self.day) = (year, month, day)
    }

    /// - Parameter days: days since 1970-01-01, of which milliseconds fit into 64 bits
    package init(daysSince1970 days: Int64) {
        // The count starts at 0000-03-01, so that the leap day is the last day of its year; 400 years have 146,097 days.
        let shifted = Int(days) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let fromMarch = (5 * dayOfYear + 2) / 153
        month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        day = dayOfYear - (153 * fromMarch + 2) / 5 + 1
    }

    /// The days since 1970-01-01. The years are counted from March, so that the leap day is the last day of its year.
    package var daysSince1970: Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return Int64(era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468)
    }
}
