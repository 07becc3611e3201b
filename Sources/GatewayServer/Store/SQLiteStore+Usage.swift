// SPDX-License-Identifier: Apache-2.0

import GRDB
import GatewayCore

/// Usage reports from the file.
extension SQLiteStore: UsageArchive {
    package func sums(_ query: UsageQuery, after values: [String]?, limit: Int) async throws -> [UsageSum] {
        let columns = query.grouping.map(\.rawValue)
        var conditions = ["day >= ?", "day < ?"]
        var arguments: [(any DatabaseValueConvertible)?] = [query.days.lowerBound.number, query.days.upperBound.number]
        if let user = query.user {
            conditions.append("user = ?")
            arguments.append(user)
        }
        if let values, values.count == columns.count, !columns.isEmpty {
            conditions.append("(\(columns.joined(separator: ", "))) > (\(columns.map { _ in "?" }.joined(separator: ", ")))")
            for (column, value) in zip(query.grouping, values) {
                if column == .day { arguments.append(UTCDay(date: value)?.number ?? 0) } else { arguments.append(value) }
            }
        }
        let group = columns.isEmpty ? "" : " GROUP BY \(columns.joined(separator: ", ")) ORDER BY \(columns.joined(separator: ", "))"
        let sql = """
            SELECT \((columns + [Self.sums]).joined(separator: ", ")) FROM usage WHERE \(conditions.joined(separator: " AND "))\(group) LIMIT ?
            """
        let (grouping, bound) = (query.grouping, StatementArguments(arguments + [limit]))
        do {
            return try await database.read { database in
                try Row.fetchAll(database, sql: sql, arguments: bound).map { row -> UsageSum in
                    let values = grouping.indices.map { index -> String in
                        guard grouping[index] == .day else { return row.text(at: index) ?? "" }
                        let number = row.integer(at: index) ?? 0
                        return UTCDay(number: number)?.description ?? ""
                    }
                    return UsageSum(values: values, amounts: Self.amounts(row, from: grouping.count))
                }
            }
        } catch {
            throw StoreError(error, path: path)
        }
    }
}
