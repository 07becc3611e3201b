// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct UserNoticeTests {
    private static let notices: [UserNotice] = [
        .evict(user: "ann} b", connection: ULID(high: 7, low: .max)), .evict(user: "", connection: ULID(high: 0, low: 0)),
        .revoke(Revocations.Entry(user: "u", before: 1_700_000_000_000, until: .max)),
        .revoke(Revocations.Entry(user: "ü", before: .min, until: -1)),
    ]

    @Test(arguments: notices) func `a record is read back, and rejected if it is cut or followed by more`(_ notice: UserNotice) throws {
        let record = notice.record
        #expect(try UserNotice(record: record) == notice)
        for count in record.indices { #expect(throws: RecordError.self) { try UserNotice(record: Array(record[..<count])) } }
        #expect(throws: RecordError.self) { try UserNotice(record: record + [0]) }
    }

    @Test func `an unknown kind and a user that isn't UTF-8 are rejected`() {
        var record = UserNotice.evict(user: "ab", connection: ULID(high: 1, low: 1)).record
        record[0] = 2
        #expect(throws: RecordError.self) { try UserNotice(record: record) }
        record[0] = 0
        record[record.firstIndex(of: UInt8(ascii: "a")) ?? 0] = 0xFF
        #expect(throws: RecordError.self) { try UserNotice(record: record) }
    }

    @Test func `the number of closed connections is read back, and 0 if the reply can't be read`() {
        for count in [0, 1, Int.max] { #expect(UserNotice.revokedCount(UserNotice.revoked(count)) == count) }
        #expect(UserNotice.revokedCount(UserNotice.revoked(-1)) == 0)
        #expect(UserNotice.revokedCount([]) == 0 && UserNotice.revokedCount([1, 2]) == 0)
    }
}
