// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import GatewayCore

struct RetryAfterTests {
    private func wait(_ value: String, date: String? = nil, now: Int64 = 784_111_777_000) -> Int64? {
        RetryAfter.milliseconds(value, date: date, now: now)
    }

    @Test(arguments: [("0", 0), ("5", 5000), ("1.5", 1500), ("86400", 86_400_000)] as [(String, Int64)])
    func `a number of seconds is converted to milliseconds`(value: String, milliseconds: Int64) {
        #expect(wait(value) == milliseconds)
    }

    @Test(arguments: ["", "-1", "86400.01", "1e9", "inf", "nan", "soon", "5 s"])
    func `invalid, negative and too long delays are rejected`(value: String) {
        #expect(wait(value) == nil)
    }

    @Test func `a date is relative to the response's Date field, or to the local clock without one`() {
        // The example of RFC 9110 §5.6.7 is the second 784,111,777.
        #expect(wait("Sun, 06 Nov 1994 08:49:37 GMT", now: 784_111_776_250) == 750)
        #expect(wait("Sun, 06 Nov 1994 08:49:37 GMT", date: "Sun, 06 Nov 1994 08:49:30 GMT", now: 0) == 7000)
        #expect(wait("Sun, 06 Nov 1994 08:49:37 GMT", date: "yesterday", now: 784_111_776_000) == 1000)
        // In the past, exactly one day ahead, and one second more.
        #expect(wait("Sun, 06 Nov 1994 08:49:36 GMT") == 0)
        #expect(wait("Mon, 07 Nov 1994 08:49:37 GMT") == 86_400_000)
        #expect(wait("Mon, 07 Nov 1994 08:49:38 GMT") == nil)
    }

    @Test func `dates agree with Foundation's calendar`() {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        // Steps of some days and an odd number of seconds: all months, leap years and common years.
        for seconds in stride(from: Int64(-4_000_000_000), through: 5_000_000_000, by: 1_234_577) {
            let text = formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            #expect(RetryAfter.unixSeconds(text) == seconds, "\(text)")
        }
    }

    @Test(arguments: [
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nop 1994 08:49:37 GMT", "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:+7 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 19é4 08:49:37 GMT",
    ])
    func `other date formats and invalid dates are rejected`(text: String) {
        #expect(RetryAfter.unixSeconds(text) == nil)
    }
}
