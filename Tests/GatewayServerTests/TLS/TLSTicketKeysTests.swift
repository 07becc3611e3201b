// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Support
import Synchronization
import Testing

@testable import GatewayTLS

@Suite struct TLSTicketKeysTests {
    /// A clock that the test advances.
    final class Clock: Sendable {
        private let time = Mutex(NIODeadline.uptimeNanoseconds(1))
        func now() -> NIODeadline { time.withLock { $0 } }
        func advance(_ amount: TimeAmount) { time.withLock { $0 = $0 + amount } }
    }

    private func verdict(_ keys: TLSTicketKeys, _ name: [UInt8]) -> String {
        name.withUnsafeBytes { name in
            switch keys.find(name) {
            case .current: "current"
            case .previous: "previous"
            case .unknown: "unknown"
            }
        }
    }

    @Test func `a key is current for one rotation, previous for another, and then unknown`() throws {
        let clock = Clock()
        let keys = TLSTicketKeys(rotation: .hours(12), now: clock.now)
        let name = try #require(keys.current()).name
        clock.advance(.hours(12) - .nanoseconds(1))
        #expect(verdict(keys, name) == "current")
        clock.advance(.nanoseconds(1))
        #expect(verdict(keys, name) == "previous")
        #expect(try #require(keys.current()).name != name)
        clock.advance(.hours(12) - .nanoseconds(1))
        #expect(verdict(keys, name) == "previous")
        clock.advance(.nanoseconds(1))
        #expect(verdict(keys, name) == "unknown")
    }

    @Test func `a key that was unused for two rotations doesn't become the previous one`() throws {
        let clock = Clock()
        let keys = TLSTicketKeys(rotation: .hours(1), now: clock.now)
        let name = try #require(keys.current()).name
        clock.advance(.hours(2))
        #expect(verdict(keys, name) == "unknown")
    }

    @Test func `a name of another length is unknown`() throws {
        let keys = TLSTicketKeys(rotation: .hours(1))
        let name = try #require(keys.current()).name
        #expect(verdict(keys, Array(name.dropLast())) == "unknown")
        #expect(verdict(keys, []) == "unknown")
    }

    @Test func `the rotation is at least a second and the ticket lifetime at most a week`() {
        #expect(TLSTicketKeys(rotation: .nanoseconds(0)).lifetime == 1)
        #expect(TLSTicketKeys(rotation: .hours(12)).lifetime == 43200)
        #expect(TLSTicketKeys(rotation: .hours(24 * 30)).lifetime == 604_800)
    }
}
