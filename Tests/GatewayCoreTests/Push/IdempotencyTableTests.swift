// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct IdempotencyTableTests {
    private typealias Table = IdempotencyTable<String, Int>

    private func verdict(_ table: inout Table, _ key: String, digest: Int = 1, at wall: Int64 = 0) -> String {
        switch table.begin(key, digest: digest, wall: wall) {
        case .perform: "perform"
        case .wait: "wait"
        case .repeated(let answer): answer
        case .conflict: "conflict"
        case .full: "full"
        }
    }

    @Test func `a key is performed once, then its answer is repeated`() {
        var table = Table()
        #expect(verdict(&table, "k") == "perform" && table.isPending("k"))
        #expect(verdict(&table, "k") == "wait")
        table.complete("k", "answer", bytes: 6)
        #expect(verdict(&table, "k") == "answer" && !table.isPending("k"))
        #expect(verdict(&table, "other") == "perform")
    }

    @Test func `a key with another request is a conflict`() {
        var table = Table()
        _ = verdict(&table, "k")
        #expect(verdict(&table, "k", digest: 2) == "conflict")
        table.complete("k", "answer", bytes: 6)
        #expect(verdict(&table, "k", digest: 2) == "conflict")
    }

    @Test func `an abandoned key is performed again; a completed one can't be abandoned`() {
        var table = Table()
        _ = verdict(&table, "k")
        table.abandon("k")
        #expect(table.count == 0 && table.bytes == 0)
        #expect(verdict(&table, "k") == "perform")
        table.complete("k", "answer", bytes: 6)
        table.abandon("k")
        #expect(verdict(&table, "k") == "answer")
    }

    @Test func `a key is remembered for 24 hours, and longer while it is performed`() {
        var table = Table()
        _ = verdict(&table, "k")
        _ = verdict(&table, "slow")
        table.complete("k", "answer", bytes: 6)
        #expect(verdict(&table, "k", at: 86_399_999) == "answer")
        #expect(verdict(&table, "k", at: 86_400_000) == "perform")
        #expect(verdict(&table, "slow", at: 86_400_000) == "wait")
    }

    @Test func `new keys are rejected at the bounds, known ones aren't`() {
        var table = Table(maximumCount: 2)
        _ = verdict(&table, "a")
        table.complete("a", "answer", bytes: 6)
        #expect(verdict(&table, "b") == "perform")
        #expect(verdict(&table, "c") == "full")
        #expect(verdict(&table, "a") == "answer")
        table.abandon("b")
        #expect(verdict(&table, "c") == "perform")

        var small = Table(maximumBytes: 1000)
        _ = verdict(&small, "a")
        small.complete("a", "answer", bytes: 1000 - Table.entryBytes - 1)
        #expect(verdict(&small, "b") == "perform")
        #expect(verdict(&small, "c") == "full")
    }

    @Test func `a key has 1 to 64 characters of the allowed ones`() {
        for valid in ["a", "A.b_c:d-9", String(repeating: "k", count: 64)] { #expect(IdempotencyKey.isValid(valid)) }
        for invalid in ["", String(repeating: "k", count: 65), "a b", "ä", "a/b"] { #expect(!IdempotencyKey.isValid(invalid)) }
    }
}
