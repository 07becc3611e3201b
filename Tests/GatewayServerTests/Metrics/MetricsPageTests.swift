// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

@testable import GatewayServer

/// The tables of the page Metrics, compared with the code.
@Suite("The tables of metrics") struct MetricsPageTests {
    private static let header = "| metric | type | labels | what it tells | what to do |"
    private static let valuesHeader = "| metric | label | values |"

    /// Returns the cells of all rows below each occurrence of a header.
    private static func rows(_ header: String) throws -> [[String]] {
        let lines = try MarkdownPage("Sources/GatewayServer/Documentation.docc/Metrics.md").prose.map(\.text)
        return lines.indices.filter { lines[$0] == header }
            .flatMap { lines[($0 + 2)...].prefix { $0.hasPrefix("|") }.map(MarkdownPage.cells) }
    }

    /// Returns the code spans of a cell.
    private static func names(_ cell: String) -> [String] {
        cell.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    @Test func `the page has each metric with its type and labels, in the order of the exposition, and no other`() throws {
        let listed = try Self.rows(Self.header).map { cells in
            "\(Self.names(cells[0]).joined()) \(cells[1]) \(Self.names(cells[2]).joined(separator: ","))"
        }
        let metrics = MetricFamily.all.map { family in
            "\(family.name) \(family.kind.rawValue) \(family.labels.map(\.name).joined(separator: ","))"
        }
        #expect(listed == metrics)
    }

    @Test func `each metric has an explanation, and each metric of the gateway a remedy`() throws {
        for cells in try Self.rows(Self.header) {
            #expect(cells.count == 5, "\(cells)")
            #expect(!cells[3].isEmpty, "\(cells)")
            #expect(!cells[4].isEmpty || cells[0].hasPrefix("`process_"), "\(cells)")
        }
    }

    @Test func `the page has each label with a closed set of values, and exactly these values`() throws {
        let listed = try Self.rows(Self.valuesHeader).map { cells in
            "\(Self.names(cells[0]).joined()) \(Self.names(cells[1]).joined()): \(Self.names(cells[2]).joined(separator: ","))"
        }
        let labels = MetricFamily.all.flatMap { family in
            family.labels.compactMap { label in label.values.map { "\(family.name) \(label.name): \($0.joined(separator: ","))" } }
        }
        #expect(listed == labels)
    }
}
