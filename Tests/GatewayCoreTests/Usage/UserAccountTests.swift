// SPDX-License-Identifier: Apache-2.0

import Dispatch
import GatewayCore
import Synchronization
import Testing

@Suite struct UserAccountTests {
    /// 2024-02-29T12:00:00Z
    private static let noon: Int64 = 1_709_208_000_000
    private static let midnight: Int64 = 1_709_251_200_000
    private static let day: Int64 = 86_400_000

    private func quotas(_ limits: [String: Double]) -> SessionQuotas {
        var configured = QuotaLimits()
        for (name, limit) in limits {
            guard let quota = Quota(name: name) else { continue }
            configured[quota] = limit
        }
        return SessionQuotas(configured)
    }

    private func tokens(_ count: Int64) -> UsageAmounts {
        var amounts = UsageAmounts()
        amounts.outputTokens = count
        return amounts
    }

    @Test func `requests are admitted up to the limit and rejected from then on`() {
        let account = UserAccount(user: "u1")
        let quotas = self.quotas(["messages_per_day": 3])
        for _ in 0..<3 { #expect(account.admitRequest(quotas, wall: Self.noon) == nil) }
        let rejection = account.admitRequest(quotas, wall: Self.noon)
        #expect(rejection?.quota.name == "messages_per_day")
        #expect(rejection?.resetsAt == Self.midnight)
        #expect(account.usage(wall: Self.noon).day.messages == 3)
    }

    @Test func `any exhausted quota rejects requests; one per month is named before one per day`() {
        let account = UserAccount(user: "u1")
        let quotas = self.quotas(["output_tokens_per_day": 10, "output_tokens_per_month": 10])
        account.add(tokens(9), wall: Self.noon)
        #expect(account.admitRequest(quotas, wall: Self.noon) == nil)
        account.add(tokens(1), wall: Self.noon)
        let rejection = account.admitRequest(quotas, wall: Self.noon)
        #expect(rejection?.quota.name == "output_tokens_per_month")
        // 2024-03-01 is the day after.
        #expect(rejection?.resetsAt == Self.midnight)
    }

    @Test func `a new day begins at 0, the month continues`() {
        let account = UserAccount(user: "u1")
        let tenDaysBefore = Self.midnight - 10 * Self.day
        account.add(tokens(5), wall: tenDaysBefore)
        account.add(tokens(6), wall: Self.midnight - 1)
        #expect(account.usage(wall: Self.midnight - 1).day.outputTokens == 6)
        #expect(account.usage(wall: Self.midnight - 1).month.outputTokens == 11)
        // 1 March: a new day and a new month.
        let usage = account.usage(wall: Self.midnight)
        #expect(usage.day == .zero && usage.month == .zero)
        #expect(usage.end(of: .day) == Self.midnight + Self.day)
        #expect(usage.end(of: .month) == Self.midnight + 31 * Self.day)
    }

    @Test func `a correction for the day before doesn't change the new day`() {
        let account = UserAccount(user: "u1")
        let before = Self.midnight - 11 * Self.day
        account.add(tokens(100), wall: before - 1)
        account.add(tokens(-40), on: UTCDay(unixMilliseconds: before - 1), wall: before)
        let usage = account.usage(wall: before)
        #expect(usage.day == .zero)
        #expect(usage.month.outputTokens == 60)
    }

    @Test func `a clock that goes back to the day before changes nothing; one that goes back further begins again`() {
        let account = UserAccount(user: "u1")
        account.add(tokens(7), wall: Self.midnight)
        #expect(account.usage(wall: Self.midnight - 1).day.outputTokens == 7)
        #expect(account.usage(wall: Self.midnight - 3 * Self.day).day == .zero)
    }

    @Test func `amounts saturate`() {
        let account = UserAccount(user: "u1")
        account.add(tokens(.max), wall: Self.noon)
        account.add(tokens(1), wall: Self.noon)
        #expect(account.usage(wall: Self.noon).month.outputTokens == .max)
    }

    @Test func `parallel requests of one user are admitted exactly up to the limit`() {
        let account = UserAccount(user: "u1")
        let quotas = self.quotas(["messages_per_month": 1000])
        let admitted = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 50) { _ in
            for _ in 0..<40 where account.admitRequest(quotas, wall: Self.noon) == nil { admitted.add(1, ordering: .relaxed) }
        }
        #expect(admitted.load(ordering: .relaxed) == 1000)
        #expect(account.usage(wall: Self.noon).month.messages == 1000)
    }

    // MARK: The table of accounts

    @Test func `all sessions of a user share one account`() {
        let table = UsageTable()
        let first = table.account(of: "u1", wall: Self.noon)
        #expect(table.account(of: "u1", wall: Self.noon) === first)
        #expect(table.account(of: "u2", wall: Self.noon) !== first)
    }

    @Test func `accounts without a session and without usage in the month are removed`() {
        let table = UsageTable()
        let held = table.account(of: "held", wall: Self.noon)
        table.account(of: "used", wall: Self.noon).add(tokens(1), wall: Self.noon)
        _ = table.account(of: "unused", wall: Self.noon)
        table.sweep(wall: Self.noon)
        #expect(table.count == 2)
        table.sweep(wall: Self.midnight)
        #expect(table.count == 1)
        #expect(table.account(of: "held", wall: Self.midnight) === held)
    }

    @Test func `a full table removes a quarter of the accounts without a session`() {
        let table = UsageTable(maximumCount: 100)
        for number in 0..<101 {
            table.account(of: "u\(number)", wall: Self.noon).add(UsageAmounts(messages: Int64(number + 1)), wall: Self.noon)
        }
        #expect(table.count == 76)
        #expect(table.account(of: "u99", wall: Self.noon).usage(wall: Self.noon).day.messages == 100)
        #expect(table.account(of: "u0", wall: Self.noon).usage(wall: Self.noon).day.messages == 0)
    }

    @Test func `restored usage counts`() {
        let table = UsageTable()
        var usage = PeriodUsage(today: UTCDay(unixMilliseconds: Self.noon))
        usage.add(tokens(5), on: usage.today)
        table.restore(usage, of: "u1")
        #expect(table.account(of: "u1", wall: Self.noon).usage(wall: Self.noon).day.outputTokens == 5)
    }

    // MARK: Rows in memory

    @Test func `rows add up, and the oldest days are removed when the table is full`() throws {
        let ledger = UsageLedger(maximumCount: 3)
        let days = [27, 28, 29].compactMap { UTCDay(year: 2024, month: 2, day: $0) }
        for day in days {
            let row = UsageRow(user: "u1", day: day, route: "talk", upstream: "chat")
            ledger.add(tokens(1), to: row)
            ledger.add(tokens(2), to: row)
        }
        #expect(ledger.count == 3)
        ledger.add(tokens(1), to: UsageRow(user: "u2", day: days[2], route: "talk", upstream: "chat"))
        #expect(ledger.count == 3)
        #expect(ledger.rows(in: days[0]..<days[1]).isEmpty)
        #expect(ledger.rows(in: days[1]..<days[2]).map(\.amounts.outputTokens) == [3])
        for number in 0..<9 { ledger.add(tokens(1), to: UsageRow(user: "n\(number)", day: days[2], route: "", upstream: "")) }
        #expect(ledger.count == 3)
        ledger.removeRows(before: days[2].next)
        #expect(ledger.count == 0)
    }

    // MARK: Limits

    @Test func `claims replace configured quotas one by one`() throws {
        var configured = QuotaLimits()
        let messages = try #require(Quota(name: "messages_per_day"))
        let cost = try #require(Quota(name: "cost_per_month"))
        let tokens = try #require(Quota(name: "input_tokens_per_day"))
        configured[messages] = 10
        configured[cost] = 5
        let quotas = SessionQuotas(configured, claims: [messages: 20, cost: 0, tokens: 30])
        #expect(quotas.items.map(\.quota) == [messages, tokens])
        #expect(quotas.items.map(\.limit) == [20, 30])
    }

    @Test func `usage that other gateways have stored is added once, also while own usage isn't stored yet`() {
        let wall: Int64 = 1_800_000_000_000
        let today = UTCDay(unixMilliseconds: wall)
        let account = UserAccount(user: "u")
        var earlier = PeriodUsage(today: today)
        (earlier.day, earlier.month) = (UsageAmounts(messages: 3), UsageAmounts(messages: 8))
        account.add(earlier: earlier)
        account.add(UsageAmounts(messages: 1), wall: wall)
        account.add(UsageAmounts(messages: 1), wall: wall)
        // The first of the two is stored, and another gateway's five.
        account.update(stored: UsageAmounts(messages: 9), including: UsageAmounts(messages: 1), on: today)
        #expect(account.usage(wall: wall).day.messages == 10 && account.usage(wall: wall).month.messages == 15)
        account.update(stored: UsageAmounts(messages: 10), including: UsageAmounts(messages: 1), on: today)
        #expect(account.usage(wall: wall).day.messages == 10)
        // A correction of another gateway.
        account.update(stored: UsageAmounts(messages: 8), including: .zero, on: today)
        #expect(account.usage(wall: wall).day.messages == 8 && account.usage(wall: wall).month.messages == 13)
    }

    @Test func `stored usage of an earlier day is ignored, and that of a new day begins at zero`() {
        let wall: Int64 = 1_800_000_000_000
        let today = UTCDay(unixMilliseconds: wall)
        let account = UserAccount(user: "u")
        account.update(stored: UsageAmounts(messages: 4), including: .zero, on: today)
        account.update(
            stored: UsageAmounts(messages: 9), including: UsageAmounts(messages: 1), on: UTCDay(unixMilliseconds: wall - 86_400_000))
        #expect(account.usage(wall: wall).day.messages == 4)
        let tomorrow = wall + 86_400_000
        account.add(UsageAmounts(messages: 1), wall: tomorrow)
        account.update(stored: UsageAmounts(messages: 3), including: UsageAmounts(messages: 1), on: today.next)
        #expect(account.usage(wall: tomorrow).day.messages == 3)
    }
}
