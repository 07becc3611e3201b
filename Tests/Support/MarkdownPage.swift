// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// A parsed page of the documentation: its headings, links and code blocks.
///
/// Supports the subset of GitHub Flavored Markdown that the pages use: ATX headings, fenced code, inline links, pipe tables.
package struct MarkdownPage: Sendable, CustomTestStringConvertible {
    /// A fenced code block.
    package struct Block: Sendable {
        package let language: String
        package let code: String
        /// The line number of the opening fence, starting at 1.
        package let line: Int
        /// The text of the comment `<!-- test: … -->` on the line before the block.
        package let directive: String?

        /// The first word of the directive, such as `output`, and its argument.
        package var instruction: (name: Substring, argument: Substring) {
            let parts = (directive ?? "").split(separator: " ", maxSplits: 1)
            return (parts.first ?? "", parts.count > 1 ? parts[1] : "")
        }
    }

    package struct Link: Sendable {
        package let text: String
        package let target: String
        package let line: Int
    }

    /// The path relative to the root of the repository.
    package let path: String
    package let headings: [String]
    package let blocks: [Block]
    package let links: [Link]
    /// The lines outside code blocks, with their numbers.
    package let prose: [(number: Int, text: String)]

    package var testDescription: String { path }

    package init(_ path: String) throws {
        self.path = path
        var headings: [String] = []
        var blocks: [Block] = []
        var links: [Link] = []
        var prose: [(Int, String)] = []
        var open: (language: String, line: Int, directive: String?, code: [String])?
        var previous = ""
        let text = try String(contentsOfFile: Repository.path + "/" + path, encoding: .utf8)
        for (index, line) in text.components(separatedBy: "\n").enumerated() {
            defer { previous = line }
            if let block = open {
                if line.hasPrefix("```") {
                    let code = block.code.joined(separator: "\n") + "\n"
                    blocks.append(Block(language: block.language, code: code, line: block.line, directive: block.directive))
                    open = nil
                } else {
                    open?.code.append(line)
                }
            } else if line.hasPrefix("```") {
                open = (String(line.dropFirst(3)), index + 1, Self.directive(previous), [])
            } else {
                if line.hasPrefix("#") { headings.append(line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces)) }
                links += Self.links(in: line).map { Link(text: $0.text, target: $0.target, line: index + 1) }
                prose.append((index + 1, line))
            }
        }
        guard open == nil else { throw TestFailure("a code block of \(path) isn't closed") }
        (self.headings, self.blocks, self.links, self.prose) = (headings, blocks, links, prose)
    }

    /// The published pages: those in the root directory and the DocC catalogue.
    package static var all: [MarkdownPage] {
        get throws { try (["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "llms.txt"] + catalogue).map { try Self($0) } }
    }

    /// The paths of the pages in the DocC catalogue.
    package static var catalogue: [String] {
        get throws {
            let directory = "Sources/GatewayServer/Documentation.docc"
            return try FileManager.default.contentsOfDirectory(atPath: Repository.path + "/" + directory)
                .filter { $0.hasSuffix(".md") }.sorted().map { directory + "/" + $0 }
        }
    }

    /// Returns the URL fragment that GitHub gives to a heading: lower case, without punctuation, hyphens for spaces.
    package static func anchor(of heading: String) -> String {
        String(heading.lowercased().compactMap { $0 == " " ? "-" : $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? $0 : nil })
    }

    /// Returns the trimmed cells of a table's row.
    package static func cells(of row: String) -> [String] {
        row.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
    }

    private static func directive(_ line: String) -> String? {
        guard line.hasPrefix("<!-- test: "), line.hasSuffix(" -->") else { return nil }
        return String(line.dropFirst(11).dropLast(4))
    }

    /// Returns the inline links outside code spans.
    private static func links(in line: String) -> [(text: String, target: String)] {
        var links: [(String, String)] = []
        let parts = line.split(separator: "`", omittingEmptySubsequences: false)
        // A link's text may contain code spans, so they are masked instead of removed.
        let masked = parts.enumerated().map { $0.offset % 2 == 0 ? String($0.element) : String(repeating: "x", count: $0.element.count) }
            .joined(separator: "`")
        var rest = masked[...]
        while let middle = rest.range(of: "](") {
            let before = rest[..<middle.lowerBound]
            guard let start = before.lastIndex(of: "["), let end = rest[middle.upperBound...].firstIndex(of: ")") else { break }
            links.append((String(before[before.index(after: start)...]), String(rest[middle.upperBound..<end])))
            rest = rest[rest.index(after: end)...]
        }
        return links
    }
}
