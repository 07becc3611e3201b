// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The format of the `Date` field (RFC 9110 §5.6.7).
enum HTTPDate {
    /// Returns the current time: `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func now() -> String { text(time(nil)) }

    /// - Parameter seconds: seconds since 1970
    static func text(_ seconds: time_t) -> String {
        var (seconds, parts) = (seconds, tm())
        guard gmtime_r(&seconds, &parts) != nil else { return "" }
        var buffer = [CChar](repeating: 0, count: 40)
        // The process never sets a locale, so the names are English.
        let count = strftime(&buffer, buffer.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
