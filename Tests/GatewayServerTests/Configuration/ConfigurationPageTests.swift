// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

@testable import GatewayServer

/// The tables of `Configuration.md`, compared with the table of keys: names, defaults, units, bounds and what a reload changes.
@Suite("The tables of the configuration page")
struct ConfigurationPageTests {
    /// One row: a key, its default, its kind with bounds, and whether it is marked as reloadable.
    private struct Row {
        let name: String
        let initial: String
        let kind: String
        let isReloadable: Bool
    }

    private static func rows() throws -> [Row] {
        var group = ""
        var rows: [Row] = []
        for line in try MarkdownPage("Sources/GatewayServer/Documentation.docc/Configuration.md").prose.map(\.text) {
            // The tables of blocks follow a line with the block's prefix, and have no column for reloads.
            if line.hasPrefix("### ") { group = "" }
            for block in ConfigurationKey.blockGroups where line.hasPrefix("`\(block).<name>.…`") { group = "\(block).x." }
            let cells = MarkdownPage.cells(of: line)
            guard line.hasPrefix("| `"), let name = cells.first, cells.count >= (group.isEmpty ? 4 : 3) else { continue }
            let bare = name.filter { $0 != "`" }
            guard !group.isEmpty || ConfigurationKey.groups.contains(String(bare.prefix { $0 != "." })) else { continue }
            rows.append(
                Row(
                    name: group + bare, initial: cells[1].filter { $0 != "`" }, kind: cells[2],
                    isReloadable: group.isEmpty ? cells[3] == "↻" : true))
        }
        return rows
    }

    /// Every key, including those of one block of each group.
    private static let keys =
        ConfigurationKey.all + ConfigurationKey.blockGroups.flatMap { ConfigurationKey.Block(group: $0, name: "x").keys }

    private static func defaults(_ environment: DeploymentEnvironment?) -> GatewayConfiguration {
        var configuration = environment.map { GatewayConfiguration.defaults(for: $0) } ?? GatewayConfiguration()
        configuration.upstreams["x"] = .init()
        configuration.routes["x"] = .init()
        configuration.operations.tokens["x"] = .init()
        return configuration
    }

    @Test func `the page has each key once`() throws {
        #expect(try Self.rows().map(\.name).sorted() == Self.keys.map(\.name).sorted())
    }

    @Test func `the page states the default of each key in each environment`() throws {
        // Keys whose default depends on the environment or on another key.
        let worded = ["tls.certificates": "none; development generates one", "connections.max_sockets": "connections.max + 128"]
        for row in try Self.rows() {
            let key = try #require(ConfigurationKey.named(row.name))
            let base = Self.shown(key, nil)
            let others = DeploymentEnvironment.allCases.filter { Self.shown(key, $0) != base }.map {
                "\($0.rawValue) \(Self.shown(key, $0))"
            }
            let expected = worded[row.name] ?? ([base] + others).joined(separator: ", ")
            // After a colon the page states the meaning of none or of an empty value.
            #expect(row.initial == expected || row.initial.hasPrefix(expected + ": "), "\(row.name)")
        }
    }

    private static func shown(_ key: ConfigurationKey, _ environment: DeploymentEnvironment?) -> String {
        switch key.text(defaults(environment)) {
        case nil, "[]": "none"
        case "": "empty"
        case let text?: text.hasPrefix("[") ? String(text.dropFirst().dropLast()) : text
        }
    }

    @Test func `the page states the unit and the bounds of each key`() throws {
        for row in try Self.rows() {
            let key = try #require(ConfigurationKey.named(row.name))
            if let exact = Self.kind(of: key) {
                #expect(row.kind == exact, "\(row.name)")
            } else {
                // Lists, paths and texts are worded differently, with the same bounds.
                let numbers = row.kind.replacing(" KiB", with: "KiB").matches(of: #/[0-9]+(KiB)?/#).map { String($0.output.0) }
                let bounds = key.allowed.replacing("32768", with: "32KiB").matches(of: #/[0-9]+(KiB)? (bytes|visible)|[0-9]+KiB/#)
                for bound in bounds {
                    let number = String(bound.output.0.prefix { $0 != " " })
                    #expect(numbers.contains(number), "\(row.name): \(number)")
                }
            }
            #expect(row.kind.hasPrefix("list of ") == key.isList || row.kind == "list", "\(row.name)")
            #expect(row.kind.contains("a secret") == key.isSecret, "\(row.name)")
        }
    }

    /// Returns the unit and the bounds as on the page; nil for keys that aren't described by a unit and two bounds.
    private static func kind(of key: ConfigurationKey) -> String? {
        let parts = key.allowed.split(separator: ", or 0 for ")
        let zero = parts.count < 2 ? "" : parts[1] == "no limit" ? ", 0" : "; 0: \(parts[1])"
        let allowed = String(parts[0])
        if let match = allowed.wholeMatch(of: #/a duration from (.+) to 3650d, such as .+/#) {
            return (match.output.1 == "100ms" ? "time" : "time from \(match.output.1)") + zero
        }
        if allowed.hasPrefix("a size from 1B to 1TB") { return "size" + zero }
        if let match = allowed.wholeMatch(of: #/a whole number from (\d+) to (\d+)/#) {
            return (match.output.2 == "\(ConfigurationKey.maximumCount)" ? "number" : "\(match.output.1) to \(match.output.2)") + zero
        }
        if let match = allowed.wholeMatch(of: #/a number from 0\.001 to (\d+)(, such as 1\.5)?/#) {
            return (match.output.1 == "\(ConfigurationKey.maximumCount)" ? "factor" : "0.001 to \(match.output.1)") + zero
        }
        if key.isToggle { return "true or false" }
        if allowed.hasPrefix("host:port") { return "address" }
        if allowed.hasPrefix("off, or host:port") { return "address or `off`" }
        guard let words = allowed.wholeMatch(of: #/([a-z0-9_.]+, )*[a-z0-9_.]+ or [a-z0-9_.]+/#) else { return nil }
        return words.output.0.replacing(" or ", with: ", ").split(separator: ", ").map { "`\($0)`" }.joined(separator: " ")
    }

    @Test func `the page marks the reloadable keys`() throws {
        for row in try Self.rows() { #expect(row.isReloadable == ConfigurationKey.named(row.name)?.isReloadable, "\(row.name)") }
    }
}
