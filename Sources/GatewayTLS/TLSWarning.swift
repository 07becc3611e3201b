// SPDX-License-Identifier: Apache-2.0

/// A warning about a certificate that isn't valid now or expires soon.
package struct TLSWarning: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable, Hashable {
        case expired
        /// Expires within 30 days.
        case expiresSoon
        case notYetValid
    }

    package var path: String
    /// The first name of the certificate; empty if it has none.
    package var name: String
    package var kind: Kind
    /// The end of the validity, or its start for `notYetValid`, in seconds since 1970.
    package var date: Int64

    /// The time before expiry from which to warn: 30 days, enough for an operator to act.
    static let notice: Int64 = 30 * 86400

    package init(path: String, name: String, kind: Kind, date: Int64) {
        self.path = path
        self.name = name
        self.kind = kind
        self.date = date
    }

    /// Returns the kind of warning at `now` (seconds since 1970), if any.
    static func kind(notBefore: Int64, notAfter: Int64, now: Int64) -> Kind? {
        if notAfter <= now { return .expired }
        if notBefore > now { return .notYetValid }
        return notAfter.subtractingReportingOverflow(now).partialValue <= notice ? .expiresSoon : nil
    }

    package var description: String { "\(path): \(summary)" }

    /// The warning without the path of the file.
    package var summary: String {
        let day = TLSWarning.day(date)
        return switch kind {
        case .expired: "the certificate for \(name) expired on \(day)"
        case .expiresSoon: "the certificate for \(name) expires on \(day)"
        case .notYetValid: "the certificate for \(name) isn't valid before \(day)"
        }
    }

    /// Formats a date as `YYYY-MM-DD` in UTC, by the civil-from-days algorithm for the proleptic Gregorian calendar.
    static func day(_ seconds: Int64) -> String {
        let days = (seconds >= 0 ? seconds : seconds - 86399) / 86400 + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }
}

/// The validity of a certificate in use, in seconds since 1970.
struct CertificateDates: Sendable, Hashable {
    var path: String
    var name: String
    var notBefore: Int64
    var notAfter: Int64

    func warning(now: Int64) -> TLSWarning? {
        guard let kind = TLSWarning.kind(notBefore: notBefore, notAfter: notAfter, now: now) else { return nil }
        return TLSWarning(path: path, name: name, kind: kind, date: kind == .notYetValid ? notBefore : notAfter)
    }
}
