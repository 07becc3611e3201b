// SPDX-License-Identifier: Apache-2.0

/// A parser for the `Retry-After` header field (RFC 9110 §10.2.3): seconds or a date.
package enum RetryAfter {
    /// One day, in milliseconds. Greater values are rejected.
    static let longest: Int64 = 86_400_000

    /// Parses a field value.
    ///
    /// - Parameters:
    ///   - value: the value of `Retry-After`
    ///   - date: the value of the response's `Date` field, the time by the server's clock; a date in `value` is relative to this time
    ///   - now: Unix milliseconds, used when `date` is missing or invalid
    /// - Returns: the delay in milliseconds, 0 for a date in the past; nil for an invalid value and for delays above ``longest``
    package static func milliseconds(_ value: String, date: String?, now: Int64) -> Int64? {
        let value = trimmed(value)
        if let seconds = Double(value) {
            let wait = seconds * 1000
            return (0...Double(longest)).contains(wait) ? Int64(wait) : nil
        }
        guard let end = unixSeconds(value) else { return nil }
        let wait = end * 1000 &- (date.map(trimmed).flatMap(unixSeconds).map { $0 * 1000 } ?? now)
        return wait <= longest ? max(wait, 0) : nil
    }

    /// Removes white space at both ends, which isn't part of the value (RFC 9110 §5.5) but may still be present.
    private static func trimmed(_ value: String) -> String {
        var rest = value[...]
        while let first = rest.utf8.first, first == 0x20 || first == 0x09 { rest = rest.dropFirst() }
        while let last = rest.utf8.last, last == 0x20 || last == 0x09 { rest = rest.dropLast() }
        return String(rest)
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"].map { Array($0.utf8) }

    /// Parses an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`, the only format that senders may generate (§5.6.7). The day of the
    /// week is ignored.
    static func unixSeconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 29, bytes[3...4].elementsEqual(", ".utf8), bytes[7] == 0x20, bytes[11] == 0x20, bytes[16] == 0x20,
            bytes[19] == UInt8(ascii: ":"), bytes[22] == UInt8(ascii: ":"), bytes[25...].elementsEqual(" GMT".utf8),
            let day = number(bytes[5...6]), (1...31).contains(day),
            let month = months.firstIndex(where: { $0.elementsEqual(bytes[8...10]) }),
            let year = number(bytes[12...15]), year > 0,
            let hour = number(bytes[17...18]), hour < 24,
            let minute = number(bytes[20...21]), minute < 60,
            // 60 is a leap second.
            let second = number(bytes[23...24]), second <= 60
        else { return nil }
        let days = GregorianDate(year: Int(year), month: month + 1, day: Int(day)).daysSince1970
        return ((days * 24 + hour) * 60 + minute) * 60 + second
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }
}
