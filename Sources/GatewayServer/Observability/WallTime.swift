// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore

/// A point in time in UTC, formatted for log lines.
///
/// Formatting takes a few divisions (about 20 ns), which costs less than sharing a cached second between event loops.
package struct WallTime: Sendable, Hashable {
    /// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    package let unixMilliseconds: Int64

    package init(unixMilliseconds: Int64) {
        self.unixMilliseconds = unixMilliseconds
    }

    /// Reads the system clock. It can jump, so durations are measured with the monotonic clock.
    package static func now() -> WallTime {
        WallTime(unixMilliseconds: Int64((Date.now.timeIntervalSince1970 * 1000).rounded(.down)))
    }

    /// Appends `2026-01-02T03:04:05.678Z` (RFC 3339), 24 bytes in the years 0 to 9999.
    package func appendDateAndTime(to bytes: inout [UInt8]) {
        let (days, _) = split()
        let date = GregorianDate(daysSince1970: days)
        Self.append(Int64(date.year), digits: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(Int64(date.month), digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(Int64(date.day), digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        appendTime(to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// Appends `03:04:05.678`, 12 bytes.
    package func appendTime(to bytes: inout [UInt8]) {
        let (_, time) = split()
        Self.append(time / 3_600_000, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(time / 60_000 % 60, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(time / 1000 % 60, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        Self.append(time % 1000, digits: 3, to: &bytes)
    }

    /// Returns the whole days since 1970 and the milliseconds of the day; also correct before 1970.
    private func split() -> (days: Int64, time: Int64) {
        let (days, time) = unixMilliseconds.quotientAndRemainder(dividingBy: 86_400_000)
        return time < 0 ? (days &- 1, time &+ 86_400_000) : (days, time)
    }

    private static func append(_ number: Int64, digits: Int, to bytes: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<digits { divisor &*= 10 }
        while divisor > 0 {
            bytes.append(0x30 &+ UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }
}
