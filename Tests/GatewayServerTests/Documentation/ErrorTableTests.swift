// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Support
import Testing

/// The table "Error messages" of the protocol page, compared with ``ErrorReason``.
@Suite("The table of error messages") struct ErrorTableTests {
    private struct Row: Hashable {
        let code: String
        let message: String
    }

    private static let header = "| code | message | cause | remedy |"

    /// Returns the cells of the table's rows.
    private static func rows() throws -> [[String]] {
        let lines = try MarkdownPage("Sources/GatewayServer/Documentation.docc/Protocol.md").prose.map(\.text)
        let start = try #require(lines.firstIndex(of: header))
        return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map(MarkdownPage.cells)
    }

    @Test func `the table has each reason once, with its code and its message`() throws {
        let rows = try Self.rows()
        let listed = rows.map { Row(code: $0[0].filter { $0 != "`" }, message: $0[1]) }
        let reasons = ErrorReason.allCases.map { Row(code: $0.code.rawValue, message: $0.message) }
        #expect(Set(listed) == Set(reasons))
        #expect(listed.count == reasons.count)
    }

    @Test func `each message has a cause and a remedy`() throws {
        for cells in try Self.rows() {
            #expect(cells.count == 4, "\(cells)")
            #expect(cells.suffix(2).allSatisfy { $0.hasSuffix(".") }, "\(cells)")
        }
    }
}
