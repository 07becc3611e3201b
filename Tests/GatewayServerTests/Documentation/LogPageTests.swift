// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The tables of the page Logs, compared with the statements of the code that write log lines.
@Suite("The page of log lines") struct LogPageTests {
    /// The level and the fields of a message.
    private struct Entry: Equatable {
        var levels: Set<String> = []
        var fields: Set<String> = []
        var locations: [String] = []

        static func == (a: Self, b: Self) -> Bool { a.levels == b.levels && a.fields == b.fields }
    }

    private static let page = "Sources/GatewayServer/Documentation.docc/Logs.md"
    private static let header = "| message | level | fields | meaning | what to do |"
    private static let statements = Result { try LogStatement.all(in: "Sources") }

    /// Returns the cells of the rows of all tables with lines.
    private static func rows() throws -> [[String]] {
        let lines = try MarkdownPage(page).prose.map(\.text)
        return lines.indices.filter { lines[$0] == header }.flatMap { start in
            lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map(MarkdownPage.cells)
        }
    }

    private static func listed() throws -> [String: Entry] {
        var result: [String: Entry] = [:]
        for cells in try rows() {
            let fields = cells[2].matches(of: /`([^`]+)`/).map { String($0.1) }
            let levels = cells[1].components(separatedBy: ", ")
            let message = cells[0].filter { $0 != "`" }
            #expect(result[message] == nil, "\(message) has two rows")
            result[message] = Entry(levels: Set(levels), fields: Set(fields))
        }
        return result
    }

    private static func written() throws -> [String: Entry] {
        var result: [String: Entry] = [:]
        for statement in try statements.get() {
            for message in statement.messages {
                result[message, default: Entry()].levels.formUnion(statement.levels)
                result[message, default: Entry()].fields.formUnion(statement.fields)
                result[message, default: Entry()].locations.append(statement.location)
            }
        }
        return result
    }

    @Test func `every statement that logs has a literal message and a level`() throws {
        for statement in try Self.statements.get() {
            #expect(!statement.messages.isEmpty && !statement.levels.isEmpty, "\(statement.location)")
            #expect(statement.levels.isSubset(of: LogStatement.allLevels), "\(statement.location)")
        }
    }

    @Test func `the page lists each message of the code, with its levels and fields`() throws {
        let listed = try Self.listed()
        for (message, entry) in try Self.written() where listed[message] != entry {
            let levels = LogStatement.allLevels.filter(entry.levels.contains).joined(separator: ", ")
            let fields = entry.fields.sorted().map { "`\($0)`" }.joined(separator: ", ")
            let row = "| `\(message)` | \(levels) | \(fields) | … | … |"
            Issue.record("\(Self.page) needs this row, for \(entry.locations.joined(separator: ", ")):\n\(row)")
        }
    }

    @Test func `the page lists no message that the code doesn't write`() throws {
        let written = try Self.written()
        for message in try Self.listed().keys { #expect(written[message] != nil, "\(message)") }
        #expect(written.count > 50)
    }

    @Test func `each row has a meaning and an action`() throws {
        for cells in try Self.rows() {
            #expect(cells.count == 5, "\(cells)")
            #expect(cells.suffix(2).allSatisfy { $0.hasSuffix(".") }, "\(cells)")
        }
    }

    // MARK: The search

    private static func search(_ text: String) -> [LogStatement] { LogStatement.statements(in: [SwiftSource(path: "A.swift", text)]) }

    @Test func `a call has its level, its message and the keys of its metadata`() throws {
        let found = Self.search(
            """
            func open() {
                // logger.info("a comment")
                logger.warning("accept failed", metadata: ["error": "\\(error)", "n": .stringConvertible(f("x", ["y": 1]))])
                context.logger?.error("the \\(kind("a")) failed: \\(1)", error: error)
                let text = "logger.info(\\"a literal\\")"
            }
            """)
        #expect(found.map(\.messages) == [["accept failed"], ["the … failed: …"]])
        #expect(found.map(\.levels) == [["warning"], ["error"]])
        #expect(found.map(\.fields) == [["error", "n", "y"], ["error.message", "error.type"]])
        #expect(found.map(\.location) == ["A.swift:3", "A.swift:4"])
    }

    @Test func `a variable's fields are those that its function sets, and a level's those of its declaration`() throws {
        let found = Self.search(
            """
            func other() { logger.info("other", metadata: ["z": "1"]) }
            func closed() {
                let level: Logger.Level = isClient ? .info : .debug
                var metadata: Logger.Metadata = ["code": "1"]
                if let reason { metadata["reason"] = "\\(reason)" }
                metadata.merge(peer.addressMetadata) { $1 }
                logger.notice("another", metadata: ["y": "1"])
                logger.log(level: level, "closed", metadata: metadata)
                logger.debug("counted", metadata: counts)
            }
            var counts: Logger.Metadata { ["dropped": "1"] }
            var addressMetadata: Logger.Metadata {
                ["address": "\\(address)"]
            }
            """)
        let closed = try #require(found.dropLast().last)
        #expect(found.last?.messages == ["counted"] && found.last?.fields == ["dropped"])
        #expect(closed.messages == ["closed"] && closed.levels == ["info", "debug"])
        #expect(closed.fields == ["code", "reason", "address"])
    }

    @Test func `a function with a parameter for the message passes on its level and fields`() throws {
        let found = Self.search(
            """
            func log(_ message: Logger.Message, of session: ULID, _ further: Logger.Metadata = [:]) {
                var metadata = further
                metadata["session_id"] = "\\(session)"
                logger.info(message, metadata: metadata)
            }
            func log(_ steps: [Step]) {}
            func end() {
                log(steps)
                log("session ended", of: id, ["reason": "1"])
            }
            """)
        #expect(found.map(\.messages) == [["session ended"]])
        #expect(found.map(\.levels) == [["info"]])
        #expect(found.map(\.fields) == [["session_id", "reason"]])
    }
}
