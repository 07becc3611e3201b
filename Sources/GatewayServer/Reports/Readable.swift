// SPDX-License-Identifier: Apache-2.0

/// Formats numbers for users.
package enum Readable {
    /// Formats a time to seconds, in UTC.
    package static func time(_ unixMilliseconds: Int64) -> String {
        var bytes: [UInt8] = []
        WallTime(unixMilliseconds: unixMilliseconds).appendDateAndTime(to: &bytes)
        return String(decoding: bytes.prefix(10), as: UTF8.self) + " " + String(decoding: bytes.dropFirst(11).prefix(8), as: UTF8.self)
    }

    /// Formats a duration, rounded to two or three digits: `0.4 ms`, `12 ms`, `1.5 s`, `2 min 3 s`, `1 h 2 min`.
    package static func duration(_ milliseconds: Double) -> String {
        guard milliseconds.isFinite, milliseconds > 0 else { return "0 s" }
        if milliseconds < 9.95 { return "\((milliseconds * 10).rounded() / 10) ms" }
        if milliseconds < 999.5 { return "\(Int64(milliseconds.rounded())) ms" }
        if milliseconds < 59_950 { return "\((milliseconds / 100).rounded() / 10) s" }
        let seconds = Int64(min(milliseconds / 1000, 1e12).rounded())
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        return "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    }

    package static func duration(_ milliseconds: Int64) -> String { duration(Double(milliseconds)) }

    /// Formats a time relative to `start`, rounded to tenths of a second: `+0:01.5`, `+1:02:03.0`; `+0:00.0` before `start`.
    package static func moment(_ unixMilliseconds: Int64, since start: Int64) -> String {
        let (difference, overflow) = unixMilliseconds.subtractingReportingOverflow(start)
        let tenths = overflow ? 0 : max(0, difference) / 100 + (max(0, difference) % 100 >= 50 ? 1 : 0)
        func twoDigits(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let (hours, minutes) = (tenths / 36_000, tenths / 600 % 60)
        return "+\(hours == 0 ? "\(minutes)" : "\(hours):\(twoDigits(minutes))"):\(twoDigits(tenths / 10 % 60)).\(tenths % 10)"
    }

    package static func size(_ bytes: UInt64) -> String {
        var (value, unit) = (Double(bytes), 0)
        let units = ["B", "KB", "MB", "GB", "TB"]
        while value >= 1000, unit < units.count - 1 { (value, unit) = (value / 1000, unit + 1) }
        return unit == 0 ? "\(bytes) B" : "\((value * 10).rounded() / 10) \(units[unit])"
    }
}
