// SPDX-License-Identifier: Apache-2.0

import GRDB
package import GatewayCore
import Logging

/// The records about users and their tokens, in the same file as the sessions.
extension SQLiteStore {
    package func loadAccounts(wall: Int64) throws -> AccountRecords {
        let today = UTCDay(unixMilliseconds: wall)
        return try database.read { database -> AccountRecords in
            var records = AccountRecords()
            // Rows of later days, written before the clock was set back, count as well.
            let rows = try Row.fetchCursor(
                database, sql: "SELECT user, day, \(Self.sums) FROM usage WHERE day >= ? GROUP BY user, day",
                arguments: [today.monthStart.number])
            while let row = try rows.next() {
                guard let user = row.text(at: 0), let number = row.integer(at: 1), let day = UTCDay(number: number) else { continue }
                records.usage[user, default: PeriodUsage(today: today)].add(Self.amounts(row, from: 2), on: day)
            }
            for row in try Row.fetchAll(
                database, sql: "SELECT jti, spent, expires_at FROM token_use WHERE expires_at > ?", arguments: [wall])
            {
                guard let id = row.text(at: 0), let spent = row.integer(at: 1), let expires = row.integer(at: 2) else { continue }
                records.tokenUses.append(TokenUses.Entry(tokenID: id, spent: Int(clamping: spent), until: expires))
            }
            for row in try Row.fetchAll(
                database, sql: "SELECT user, before, expires_at FROM revocation WHERE expires_at > ?", arguments: [wall])
            {
                guard let user = row.text(at: 0), let before = row.integer(at: 1), let expires = row.integer(at: 2) else { continue }
                records.revocations.append(Revocations.Entry(user: user, before: before, until: expires))
            }
            return records
        }
    }

    /// The sums of ``UsageAmounts``, in the order that ``amounts(_:from:)`` reads.
    static let sums = "sum(messages), sum(audio_in), sum(audio_out), sum(input_tokens), sum(output_tokens), sum(cost)"

    static func amounts(_ row: Row, from column: Int) -> UsageAmounts {
        func number(_ offset: Int) -> Int64 { row.integer(at: column + offset) ?? 0 }
        var amounts = UsageAmounts()
        amounts.messages = number(0)
        amounts.audioIn = number(1)
        amounts.audioOut = number(2)
        amounts.inputTokens = number(3)
        amounts.outputTokens = number(4)
        amounts.cost = number(5)
        return amounts
    }

    /// Adds amounts to the rows of usage in the current transaction.
    static func apply(usage: [UsageRow: UsageAmounts], to database: Database) throws {
        guard !usage.isEmpty else { return }
        let add = try database.cachedStatement(
            sql: """
                INSERT INTO usage (day, user, route, upstream, messages, audio_in, audio_out, input_tokens, output_tokens, cost)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET messages = messages + excluded.messages, audio_in = audio_in + excluded.audio_in,
                audio_out = audio_out + excluded.audio_out, input_tokens = input_tokens + excluded.input_tokens,
                output_tokens = output_tokens + excluded.output_tokens, cost = cost + excluded.cost
                """)
        for (row, amounts) in usage {
            try add.execute(arguments: [
                row.day.number, row.user, row.route, row.upstream, amounts.messages, amounts.audioIn, amounts.audioOut, amounts.inputTokens,
                amounts.outputTokens, amounts.cost,
            ])
        }
    }

    static func apply(_ changes: [AccountChange], to database: Database) throws {
        for change in changes {
            switch change {
            case .useToken(let use):
                try database.execute(
                    sql: """
                        INSERT INTO token_use (jti, spent, expires_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                        SET spent = max(spent, excluded.spent), expires_at = max(expires_at, excluded.expires_at)
                        """, arguments: [use.tokenID, use.spent, use.until])
            case .removeToken(let id): try database.execute(sql: "DELETE FROM token_use WHERE jti = ?", arguments: [id])
            case .revoke(let revocation):
                try database.execute(
                    sql: """
                        INSERT INTO revocation (user, before, expires_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                        SET before = max(before, excluded.before), expires_at = max(expires_at, excluded.expires_at)
                        """, arguments: [revocation.user, revocation.before, revocation.until])
            case .removeRevocation(let user): try database.execute(sql: "DELETE FROM revocation WHERE user = ?", arguments: [user])
            }
        }
    }

    /// Removes expired records of tokens, and the rows of usage that are older than 13 months. Called on the writer's thread.
    func removeExpiredRows() {
        let wall = WallTime.now().unixMilliseconds
        let firstDay = UsageRow.firstKeptDay(wall: wall).number
        do {
            try database.write { database in
                try database.execute(sql: "DELETE FROM token_use WHERE expires_at <= ?", arguments: [wall])
                try database.execute(sql: "DELETE FROM revocation WHERE expires_at <= ?", arguments: [wall])
            }
            var removed = 0
            repeat {
                // In small batches, so that commits can run in between.
                removed = try database.write { database in
                    try database.execute(
                        sql: """
                            DELETE FROM usage WHERE (day, user, route, upstream) IN
                            (SELECT day, user, route, upstream FROM usage WHERE day < ? LIMIT 1000)
                            """, arguments: [firstDay])
                    return database.changesCount
                }
            } while removed > 0
        } catch {
            // The next sweep retries; a persistent problem is reported by the next commit.
            logger.warning("expired usage can't be deleted", metadata: ["error": "\(StoreError(error, path: path))"])
        }
    }
}
