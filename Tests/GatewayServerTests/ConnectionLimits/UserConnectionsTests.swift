// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Synchronization
import Testing

@testable import GatewayServer

@Suite("Connections of a user") struct UserConnectionsTests {
    /// Records the connections that were closed, with the reason.
    private final class Closed: Sendable {
        let reasons = Mutex<[String]>([])

        func closer(_ number: UInt64) -> @Sendable (UserConnections.Reason) -> Void {
            { [self] reason in reasons.withLock { $0.append("\(number) \(reason)") } }
        }

        var all: [String] { reasons.withLock { $0 } }
    }

    private let closed = Closed()

    private func id(_ number: UInt64) -> ULID { ULID(high: 0, low: number) }

    private func admit(
        _ number: UInt64, _ user: String = "u", in users: UserConnections, resuming session: UInt64? = nil, issuedAt: Int64? = nil
    )
        -> Bool
    {
        users.admit(id(number), of: user, resuming: session.map(id), issuedAt: issuedAt, close: closed.closer(number))
    }

    @Test func `the connection above the limit closes the oldest one`() {
        let users = UserConnections(policy: .init(maximum: 2, evictsOldest: true))
        #expect(admit(1, in: users) && admit(2, in: users))
        #expect(closed.all == [])
        #expect(admit(3, in: users))
        #expect(closed.all == ["1 evicted"])
        #expect(users.count(of: "u") == 2)
        // The closed connection is released later, once.
        users.release(id(1), of: "u")
        #expect(users.count(of: "u") == 2)
        #expect(admit(4, "other", in: users))
        #expect(closed.all == ["1 evicted"])
    }

    @Test func `with reject, the connection above the limit is rejected`() {
        let users = UserConnections(policy: .init(maximum: 1, evictsOldest: false))
        #expect(admit(1, in: users))
        #expect(!admit(2, in: users))
        users.release(id(1), of: "u")
        #expect(admit(3, in: users))
        #expect(closed.all == [])
    }

    @Test(arguments: [true, false]) func `a connection that resumes the session of another one replaces it`(evictsOldest: Bool) {
        let users = UserConnections(policy: .init(maximum: 1, evictsOldest: evictsOldest))
        #expect(admit(1, in: users))
        users.update(id(1), of: "u", session: id(100), issuedAt: nil)
        #expect(admit(2, in: users, resuming: 100))
        #expect(closed.all == [])
        #expect(!admit(3, in: users, resuming: 101) || evictsOldest)
    }

    @Test func `a limit of 0 admits any number, and a lowered limit evicts several`() {
        let users = UserConnections(policy: .init(maximum: 0, evictsOldest: true))
        for number in 1...5 { #expect(admit(UInt64(number), in: users)) }
        users.policy = .init(maximum: 2, evictsOldest: true)
        #expect(admit(6, in: users))
        #expect(closed.all == ["1 evicted", "2 evicted", "3 evicted", "4 evicted"])
    }

    @Test func `a revocation closes the connections with older tokens and those without iat`() {
        let users = UserConnections(policy: .init(maximum: 0, evictsOldest: true))
        _ = admit(1, in: users, issuedAt: 999)
        _ = admit(2, in: users, issuedAt: 1000)
        _ = admit(3, in: users, issuedAt: 1001)
        _ = admit(4, in: users)
        _ = admit(5, "other", in: users, issuedAt: 1)
        #expect(users.revoke("u", before: 1000) == 3)
        #expect(closed.all == ["1 revoked", "2 revoked", "4 revoked"])
        #expect(users.revoke("nobody", before: 1000) == 0)
    }
}
