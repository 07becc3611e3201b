// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct HeartbeatTests {
    private static let policy = Heartbeat.Policy(interval: .seconds(30), timeout: .seconds(10), staleAfter: .seconds(75))

    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    private func payload(_ action: Heartbeat.Action) throws -> UInt64 {
        guard case .ping(let payload) = action else { throw Unexpected(action: action) }
        return payload
    }

    private struct Unexpected: Error { let action: Heartbeat.Action }

    @Test func `a ping is sent at the end of the interval, not before`() throws {
        var heartbeat = Heartbeat(now: at(0), policy: Self.policy)
        #expect(heartbeat.tick(now: at(29.999), policy: Self.policy) == .none)
        let first = try payload(heartbeat.tick(now: at(30), policy: Self.policy))
        _ = heartbeat.pong(payload: first, now: at(30.05))
        heartbeat.receivedBytes(now: at(30.05))
        #expect(heartbeat.tick(now: at(59.999), policy: Self.policy) == .none)
        let second = try payload(heartbeat.tick(now: at(60), policy: Self.policy))
        #expect(first != second)
        #expect(heartbeat.missed == 0)
    }

    @Test func `a missed pong is counted and triggers another ping`() throws {
        var heartbeat = Heartbeat(now: at(0), policy: Self.policy)
        let first = try payload(heartbeat.tick(now: at(30), policy: Self.policy))
        #expect(heartbeat.tick(now: at(39.999), policy: Self.policy) == .none)
        let second = try payload(heartbeat.tick(now: at(40), policy: Self.policy))
        #expect(heartbeat.missed == 1)
        // The pong for the first ping is too late to be a sample.
        _ = heartbeat.pong(payload: first, now: at(41))
        #expect(heartbeat.smoothedNanoseconds == nil)
        _ = heartbeat.pong(payload: second, now: at(41))
        #expect(heartbeat.smoothedNanoseconds == 1_000_000_000)
        #expect(heartbeat.tick(now: at(69.999), policy: Self.policy) == .none)
        _ = try payload(heartbeat.tick(now: at(70), policy: Self.policy))
        #expect(heartbeat.missed == 1)
    }

    @Test func `silence makes the connection stale, exactly at stale_after`() throws {
        var heartbeat = Heartbeat(now: at(0), policy: Self.policy)
        for second in stride(from: 30.0, to: 75, by: 10) { _ = try payload(heartbeat.tick(now: at(second), policy: Self.policy)) }
        #expect(heartbeat.tick(now: Instant(nanoseconds: 74_999_999_999), policy: Self.policy) == .none)
        #expect(heartbeat.tick(now: at(75), policy: Self.policy) == .stale)
    }

    @Test func `any received byte postpones staleness`() {
        var heartbeat = Heartbeat(now: at(0), policy: Self.policy)
        heartbeat.receivedBytes(now: at(50))
        #expect(heartbeat.tick(now: at(124.9), policy: Self.policy) != .stale)
        #expect(heartbeat.tick(now: at(125), policy: Self.policy) == .stale)
    }

    @Test func `round-trip samples are smoothed by an eighth`() throws {
        var heartbeat = Heartbeat(now: at(0), policy: Self.policy)
        for (start, trip, smoothed) in [(30, 80, 80_000_000), (60, 160, 90_000_000), (90, 10, 80_000_000)] as [(Double, Double, Int64)] {
            heartbeat.receivedBytes(now: at(start))
            let ping = try payload(heartbeat.tick(now: at(start), policy: Self.policy))
            _ = heartbeat.pong(payload: ping, now: at(start + trip / 1000))
            #expect(heartbeat.smoothedNanoseconds == smoothed)
        }
    }

    @Test func `outliers and negative round trips are ignored`() throws {
        let slow = Heartbeat.Policy(interval: .seconds(30), timeout: .seconds(100), staleAfter: .seconds(300))
        for (pongTime, sample) in [
            (60_000_000_000, 30_000_000_000), (60_000_000_001, nil), (29_999_999_999, nil), (30_000_000_000, 0),
        ] as [(Int64, Int64?)] {
            var heartbeat = Heartbeat(now: at(0), policy: slow)
            let ping = try payload(heartbeat.tick(now: at(30), policy: slow))
            _ = heartbeat.pong(payload: ping, now: Instant(nanoseconds: pongTime))
            #expect(heartbeat.smoothedNanoseconds == sample)
            // The pong isn't a sample, but isn't missed either.
            #expect(heartbeat.tick(now: at(60), policy: slow) != .none)
            #expect(heartbeat.missed == 0)
        }
    }

    @Test func `unsolicited pongs are ignored`() throws {
        var heartbeat = Heartbeat(now: at(0), policy: Self.policy)
        _ = heartbeat.pong(payload: 0, now: at(1))
        let ping = try payload(heartbeat.tick(now: at(30), policy: Self.policy))
        _ = heartbeat.pong(payload: ping &+ 1, now: at(30.1))
        #expect(heartbeat.smoothedNanoseconds == nil)
        _ = heartbeat.pong(payload: ping, now: at(30.2))
        _ = heartbeat.pong(payload: ping, now: at(35))
        #expect(heartbeat.smoothedNanoseconds == 200_000_000)
    }
}
