// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Testing

@Suite struct LogThrottleTests {
    private enum Kind: Int, CaseIterable {
        case handshake, origin
    }

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func `lines beyond the limit of an interval are suppressed, and the next interval's first line reports their number`() {
        var throttle = LogThrottle<Kind>(lines: 2, per: .seconds(1))
        #expect(throttle.admit(.handshake, now: at(5000)) == .write(suppressed: 0))
        #expect(throttle.admit(.handshake, now: at(5001)) == .write(suppressed: 0))
        #expect(throttle.admit(.handshake, now: at(5002)) == .suppress)
        #expect(throttle.admit(.handshake, now: at(5999)) == .suppress)
        #expect(throttle.admit(.handshake, now: at(6000)) == .write(suppressed: 2))
        #expect(throttle.admit(.handshake, now: at(6001)) == .write(suppressed: 0))
        #expect(throttle.admit(.handshake, now: at(6002)) == .suppress)
    }

    @Test func `each kind has its own limit`() {
        var throttle = LogThrottle<Kind>(lines: 1, per: .seconds(1))
        #expect(throttle.admit(.handshake, now: at(0)) == .write(suppressed: 0))
        #expect(throttle.admit(.handshake, now: at(1)) == .suppress)
        #expect(throttle.admit(.origin, now: at(1)) == .write(suppressed: 0))
    }

    @Test func `suppressed lines that no line has reported are collected once, after the interval`() {
        var throttle = LogThrottle<Kind>(lines: 1, per: .seconds(1))
        for now in 0..<5 as Range<Int64> { _ = throttle.admit(.origin, now: at(now)) }
        #expect(throttle.collect(now: at(999)).isEmpty)
        let collected = throttle.collect(now: at(1000))
        #expect(collected.map(\.kind) == [.origin])
        #expect(collected.map(\.suppressed) == [4])
        #expect(throttle.collect(now: at(1001)).isEmpty)
        #expect(throttle.admit(.origin, now: at(1002)) == .write(suppressed: 0))
    }

    @Test func `a clock that jumps far ahead or back begins a new interval`() {
        var throttle = LogThrottle<Kind>(lines: 1, per: .seconds(1))
        #expect(throttle.admit(.origin, now: Instant(nanoseconds: .min)) == .write(suppressed: 0))
        #expect(throttle.admit(.origin, now: Instant(nanoseconds: .max)) == .write(suppressed: 0))
        #expect(throttle.admit(.origin, now: Instant(nanoseconds: .max)) == .suppress)
        #expect(throttle.admit(.origin, now: at(10)) == .write(suppressed: 1))
    }
}
