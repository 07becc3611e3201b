// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct SessionPolicyClaimsTests {
    private func policy(_ limits: [(Limit, Double)]) -> SessionPolicy {
        var policy = SessionPolicy()
        for (limit, value) in limits {
            policy.set(limit, value)
            if value > 0 { policy.namedLimits.append(.init(limit.name, value)) }
        }
        return policy
    }

    private func claims(_ limits: [(Limit, Double)]) -> ParleyClaims {
        var claims = ParleyClaims()
        claims.limits = limits.map { .init($0, $1) }
        return claims
    }

    private func value(_ limit: Limit, in policy: SessionPolicy) -> Double? { policy.namedLimits.first { $0.name == limit.name }?.value }

    @Test(arguments: [(20, 20), (1, 1), (599, 599), (600, 600), (601, 600), (1e9, 600), (0, 600)] as [(Double, Double)])
    func `a claim lowers a limit to any value and raises it up to the factor`(claimed: Double, applied: Double) {
        let changed = policy([(.text, 60)]).applying(claims([(.text, claimed)]), factor: 10)
        #expect(value(.text, in: changed) == applied)
        #expect(changed.text.nanosecondsPerUnit == 60e9 / applied)
        #expect(changed.text.burst == SessionPolicy.rate(of: .text, applied).burst)
    }

    @Test func `a limit that is off gets the claimed value, and stays off with 0`() {
        let changed = policy([(.text, 0)]).applying(claims([(.text, 5000), (.audio, 0)]), factor: 10)
        #expect(value(.text, in: changed) == 5000)
        #expect(!changed.text.isUnlimited)
        #expect(changed.audio.isUnlimited && value(.audio, in: changed) == nil)
    }

    @Test func `each limit changes its own rate`() {
        for limit in Limit.allCases {
            let changed = policy([]).applying(claims([(limit, 7)]), factor: 10)
            let rates: [(Limit, Rate)] = [
                (.text, changed.text), (.audio, changed.audio), (.chunk, changed.chunks), (.realtime, changed.realtime),
                (.control, changed.control), (.byte, changed.bytes), (.rejection, changed.rejections), (.violation, changed.violations),
            ]
            for (other, rate) in rates { #expect(rate.isUnlimited == (other != limit)) }
        }
    }

    @Test func `other limits keep their values and their order`() {
        let before = policy([(.text, 60), (.audio, 30), (.byte, 1000)])
        let changed = before.applying(claims([(.audio, 3)]), factor: 10)
        #expect(changed.namedLimits.map(\.name) == before.namedLimits.map(\.name))
        #expect(changed.namedLimits.map(\.value) == [60, 3, 1000])
        #expect(changed.text.nanosecondsPerUnit == before.text.nanosecondsPerUnit)
    }

    @Test func `a factor below 1 counts as 1`() {
        #expect(value(.text, in: policy([(.text, 60)]).applying(claims([(.text, 100)]), factor: 0)) == 60)
    }

    @Test func `the lifetime is only shortened`() {
        var before = SessionPolicy()
        before.lifetime = 1_000_000_000
        var claims = ParleyClaims()
        claims.sessionMilliseconds = 500
        #expect(before.applying(claims, factor: 10).lifetime == 500_000_000)
        claims.sessionMilliseconds = 2000
        #expect(before.applying(claims, factor: 10).lifetime == 1_000_000_000)
        claims.sessionMilliseconds = .max
        #expect(before.applying(claims, factor: 10).lifetime == 1_000_000_000)
        #expect(SessionPolicy().applying(claims, factor: 10).lifetime == .max)
    }
}
