// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

/// `parley usage`: reports what users have used, through the operations listener.
struct Usage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Report the messages, audio, tokens and cost that users have used.",
        discussion: """
            Connects to the operations listener named by the local configuration (--config, --environment), or to --address, as parley \
            sessions does. Without --from and --to, the report covers the current month. Days and months are in UTC.

            Exit codes:
              0  success
              1  the request was rejected
              64  wrong usage
              69  the gateway can't be reached
              78  invalid configuration
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json, csv }

    @OptionGroup var gateway: GatewayOptions
    @Option(help: "Report only this user.") var user: String?
    @Option(help: "First day: an RFC 3339 date such as 2026-01-31, or Unix milliseconds.") var from: String?
    @Option(help: "Day after the last one, as for --from.") var to: String?
    @Option(help: "user, day, route or upstream, or several separated by commas; without it, one sum.") var group: String?
    @Option(help: "table; json: one JSON object per line; or csv.") var format = Format.table

    func validate() throws {
        for name in group?.split(separator: ",", omittingEmptySubsequences: false) ?? []
        where UsageQuery.Column(rawValue: String(name)) == nil {
            throw ValidationError("--group must be \(UsageQuery.Column.allCases.map(\.rawValue).joined(separator: ", ")), or several")
        }
    }

    func run() async throws {
        try await gateway.perform { client in
            guard format != .csv else {
                return FileHandle.standardOutput.write(Data(try await client.get(target(nil), accept: "text/csv")))
            }
            var (cursor, hasHeader): (String?, Bool) = (nil, format == .json)
            repeat {
                let body = try await client.get(target(cursor))
                guard let page = try? JSONDecoder().decode(UsagePage.self, from: Data(body)) else {
                    throw OperationsClient.Failure.undecodable
                }
                // Printed after the first successful request, like the header of a list of sessions.
                if !hasHeader { print(UsageText.header(columns)) }
                hasHeader = true
                for entry in page.usage {
                    print(format == .json ? String(decoding: try SortedJSON.encode(entry), as: UTF8.self) : UsageText.row(entry, columns))
                }
                cursor = page.cursor
            } while cursor != nil
        }
    }

    private var columns: [UsageQuery.Column] { group?.split(separator: ",").compactMap { UsageQuery.Column(rawValue: String($0)) } ?? [] }

    private func target(_ cursor: String?) -> String {
        OperationsClient.target("/v1/usage", [("user", user), ("from", from), ("to", to), ("group", group), ("cursor", cursor)])
    }
}

/// Usage as a text table. Control characters in names are escaped before they reach the terminal.
enum UsageText {
    private static let amounts = ["MESSAGES", "AUDIO IN", "AUDIO OUT", "TOKENS IN", "TOKENS OUT", "COST"]

    static func header(_ columns: [UsageQuery.Column]) -> String { line(columns.map { $0.rawValue.uppercased() }, amounts) }

    static func row(_ entry: UsagePage.Entry, _ columns: [UsageQuery.Column]) -> String {
        let names = columns.map { column in
            let name: String? =
                switch column {
                case .user: entry.user
                case .day: entry.day
                case .route: entry.route
                case .upstream: entry.upstream
                }
            guard let name, !name.isEmpty else { return "-" }
            return ClientText.safe(name)
        }
        let numbers = [
            "\(entry.messages)", seconds(entry.audioSecondsIn), seconds(entry.audioSecondsOut), "\(entry.inputTokens)",
            "\(entry.outputTokens)", String(format: "%.6g", entry.cost),
        ]
        return line(names, numbers)
    }

    private static func seconds(_ seconds: Double) -> String { String(format: "%.1f s", seconds) }

    private static func line(_ names: [String], _ numbers: [String]) -> String {
        let left = names.map { $0 + String(repeating: " ", count: max(0, 20 - $0.count)) }
        let right = numbers.map { String(repeating: " ", count: max(0, 12 - $0.count)) + $0 }
        return (left + right).joined(separator: "  ")
    }
}
