// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Retries") struct RetryTests {
    @Test func `retries are limited to a share of the requests`() {
        var budget = RetryBudget(share: 0.2)
        for _ in 0..<10 {
            let isAdmitted = budget.spend()
            #expect(isAdmitted)
        }
        let isExhausted = !budget.spend()
        #expect(isExhausted)
        for _ in 0..<5 { budget.earn() }
        let isCredited = budget.spend()
        #expect(isCredited)
        let isExhaustedAgain = !budget.spend()
        #expect(isExhaustedAgain)
        var disabled = RetryBudget(share: 0)
        let isDisabled = !disabled.spend()
        #expect(isDisabled)
    }

    @Test func `delays double up to a limit, with full jitter`() {
        let backoff = Backoff()
        #expect(backoff.delay(after: 1, random: 1) == .milliseconds(100))
        #expect(backoff.delay(after: 2, random: 1) == .milliseconds(200))
        #expect(backoff.delay(after: 5, random: 1) == .milliseconds(1600))
        #expect(backoff.delay(after: 6, random: 1) == .milliseconds(2000))
        #expect(backoff.delay(after: .max, random: 1) == .milliseconds(2000))
        #expect(backoff.delay(after: 3, random: 0.5) == .milliseconds(200))
        #expect(backoff.delay(after: 3, random: 0) == .zero)
    }
}
