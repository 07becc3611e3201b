// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct SessionAdmissionTests {
    private var admission = SessionAdmission(policy: SharedPolicy(SessionPolicy()), global: SharedLimiter())
    private var policy = SessionPolicy() { didSet { admission.policy = SharedPolicy(policy) } }
    private let now = Instant(nanoseconds: 1_000_000_000)
    private let second: Int64 = 1_000_000_000

    private static func rate(_ units: Double) -> Rate { Rate(units: units, per: .seconds(1), burst: units) }

    private mutating func admit(_ limit: Limit, _ units: Int64 = 1, at instant: Instant? = nil) -> LimitWait? {
        admission.admit(limit, units, now: instant ?? now, sharedNow: now)
    }

    private mutating func audio(_ duration: Int64) -> LimitWait? { admission.admitAudio(.nanoseconds(duration), now: now, sharedNow: now) }

    @Test mutating func `a limit that is off admits everything`() {
        for limit in Limit.allCases { #expect(admit(limit, .max / 2) == nil) }
    }

    @Test mutating func `a unit over the burst has to wait and is admitted later`() {
        policy.text = Self.rate(2)
        #expect(admit(.text) == nil)
        #expect(admit(.text) == nil)
        #expect(admit(.text) == LimitWait(nanoseconds: second / 2))
        #expect(admit(.text, at: now.advanced(byNanoseconds: second / 2)) == nil)
        #expect(admit(.audio) == nil)
    }

    @Test mutating func `asking for the time to wait charges nothing`() {
        policy.control = Self.rate(1)
        for _ in 0..<3 { #expect(admission.wait(.control, now: now, sharedNow: now) == nil) }
        #expect(admission.remaining(.control, now: now, sharedNow: now) == 1)
        #expect(admit(.control) == nil)
        #expect(admission.wait(.control, now: now, sharedNow: now) == LimitWait(nanoseconds: second))
        #expect(admission.remaining(.control, now: now, sharedNow: now) == 0)
    }

    @Test mutating func `sessions of one client share its limit, and a rejection is marked as the client's`() {
        policy.text = Self.rate(2)
        policy.clientFactor = 1
        let client = ClientLimiters()
        admission.clientLimiters = client
        var other = SessionAdmission(policy: SharedPolicy(policy), global: SharedLimiter())
        other.clientLimiters = client
        for _ in 0..<2 { #expect(other.admit(.text, now: now, sharedNow: now) == nil) }
        #expect(admission.remaining(.text, now: now, sharedNow: now) == 0)
        #expect(admission.wait(.text, now: now, sharedNow: now)?.isPerClient == true)
        #expect(admit(.text)?.isPerClient == true)
        // The session's own limit wasn't charged.
        admission.clientLimiters = nil
        #expect(admission.remaining(.text, now: now, sharedNow: now) == 2)
    }

    @Test func `the gateway's limit applies to all sessions together`() {
        var policy = SessionPolicy()
        policy.global = Self.rate(1)
        let global = SharedLimiter()
        let (one, other) = (
            SessionAdmission(policy: SharedPolicy(policy), global: global), SessionAdmission(policy: SharedPolicy(policy), global: global)
        )
        #expect(one.admitGlobally(sharedNow: now) == nil)
        #expect(other.admitGlobally(sharedNow: now) == LimitWait(nanoseconds: second))
    }

    @Test mutating func `audio held back by an outage is admitted faster than real time, once`() {
        // One second of audio per second, in microseconds.
        policy.realtime = Self.rate(1_000_000)
        admission.creditOutage(.seconds(2))
        #expect(audio(2 * second) == nil)
        #expect(admission.outageCredit == .zero)
        #expect(audio(second) == nil)
        #expect(audio(second) != nil)
        admission.creditOutage(.milliseconds(500))
        #expect(audio(second) != nil)
        // The rejected audio didn't use the credit.
        #expect(admission.outageCredit == .milliseconds(500))
        #expect(audio(second / 2) == nil)
    }

    @Test(arguments: [(-5, 0), (0, 0), (29_999_999_999, 29_999_999_999), (30_000_000_001, 30_000_000_000)] as [(Int64, Int64)])
    mutating func `an outage is credited up to 30 s`(duration: Int64, credit: Int64) {
        admission.creditOutage(.nanoseconds(duration))
        #expect(admission.outageCredit == .nanoseconds(credit))
    }

    @Test mutating func `debts are converted to the clock of another event loop`() {
        policy.text = Self.rate(1)
        #expect(admit(.text) == nil)
        admission.move(by: .seconds(10))
        #expect(admit(.text, at: now.advanced(byNanoseconds: 10 * second)) == LimitWait(nanoseconds: second))
    }

    @Test mutating func `debts are restored limit by limit, in a fixed order`() {
        (policy.text, policy.violations) = (Self.rate(1), Self.rate(1))
        #expect(admit(.violation) == nil)
        var owed: [Instant.Duration] = []
        var limiters = admission.limiters
        limiters.updateEach { owed.append($0.owed(at: now)) }
        var restored = SessionAdmission(policy: SharedPolicy(policy), global: SharedLimiter())
        var rest = owed[...]
        restored.restoreLimiters { $0.restore(owed: rest.removeFirst(), at: now) }
        #expect(restored.wait(.violation, now: now, sharedNow: now) == LimitWait(nanoseconds: second))
        #expect(restored.wait(.text, now: now, sharedNow: now) == nil)
        #expect(owed.count == Limit.allCases.count)
    }
}
