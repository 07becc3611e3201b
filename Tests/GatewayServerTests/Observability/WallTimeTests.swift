// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct WallTimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] as [(Int64, String)])
    func `a time is formatted according to RFC 3339`(milliseconds: Int64, expected: String) {
        var bytes: [UInt8] = []
        WallTime(unixMilliseconds: milliseconds).appendDateAndTime(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }

    @Test func `each day of 400 years follows the previous one`() {
        var previous = ""
        for day in 0..<146_097 as Range<Int64> {
            var bytes: [UInt8] = []
            WallTime(unixMilliseconds: day * 86_400_000).appendDateAndTime(to: &bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            guard text > previous, bytes.count == 24 else {
                Issue.record("\(text) after \(previous)")
                return
            }
            previous = text
        }
        #expect(previous == "2369-12-31T00:00:00.000Z")
    }

    @Test func `times at the limits of the range don't trap`() {
        for milliseconds in [Int64.min, Int64.max] {
            var bytes: [UInt8] = []
            WallTime(unixMilliseconds: milliseconds).appendDateAndTime(to: &bytes)
            #expect(bytes.count == 24)
        }
    }
}
