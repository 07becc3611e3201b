// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct ULIDTests {
    @Test(
        arguments: [
            (0, 0, "00000000000000000000000000"),
            (.max, .max, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"),
            (0, 1, "00000000000000000000000001"),
            (0, 31, "0000000000000000000000000Z"),
            (0, 32, "00000000000000000000000010"),
            (1 << 63, 0, "40000000000000000000000000"),
            (1, 0, "0000000000000G000000000000"),
            (0, 1 << 63, "00000000000008000000000000"),
            (0, 1 << 60, "00000000000001000000000000"),
            // The time of the specification's example, 1469918176385: 01ARYZ6S41.
            (1_469_918_176_385 << 16, 0, "01ARYZ6S410000000000000000"),
        ] as [(UInt64, UInt64, String)])
    func `a ULID is written in Crockford's base 32`(high: UInt64, low: UInt64, text: String) {
        #expect(ULID(high: high, low: low).description == text)
    }

    @Test func `every digit of the alphabet is used, and none of I, L, O, U`() {
        let digits = (0..<32).map { ULID(high: 0, low: UInt64($0)).description.last ?? "?" }
        #expect(String(digits) == "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    }

    @Test func `texts sort by time`() {
        var source = ULIDSource(seed: 1)
        var random = ULIDSource(seed: 2)
        var times = (0..<500).map { _ in Int64.random(in: 0..<1 << 48, using: &random) }
        times.sort()
        let texts = times.map { source.ulid(at: $0).description }
        #expect(texts == texts.sorted())
        #expect(texts.allSatisfy { $0.utf8.count == 26 })
    }

    @Test func `the first ten characters are the time`() {
        var source = ULIDSource(seed: 3)
        #expect(source.ulid(at: 1_469_918_176_385).description.hasPrefix("01ARYZ6S41"))
        #expect(source.ulid(at: 0).description.hasPrefix("0000000000"))
        #expect(source.ulid(at: -1).description.hasPrefix("7ZZZZZZZZZ"))
    }

    @Test func `ids of the same millisecond differ, and the same seed repeats them`() {
        var one = ULIDSource(seed: 9)
        var same = ULIDSource(seed: 9)
        let ids = (0..<10_000).map { _ in one.ulid(at: 1) }
        #expect(Set(ids).count == ids.count)
        #expect(ids == (0..<10_000).map { _ in same.ulid(at: 1) })
    }
}
