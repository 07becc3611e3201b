// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The form of the pages: what GitHub, DocC and the tests of their examples rely on.
@Suite("The pages") struct PageTests {
    private static let pages = Result { try MarkdownPage.all }
    private static let languages: Set<String> = [
        "sh", "python", "yaml", "json", "text", "http", "nginx", "ini", "swift", "js", "javascript", "html", "diff", "promql",
    ]
    private static let directives: Set<Substring> = ["background", "output", "skip", "client", "rejected", "server", "source"]

    @Test(arguments: try pages.get())
    func `the file and the heading that a link refers to exist`(page: MarkdownPage) throws {
        let directory = URL(fileURLWithPath: Repository.path + "/" + page.path).deletingLastPathComponent()
        for link in page.links where !link.target.hasPrefix("https://") {
            let parts = link.target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let file = parts[0].isEmpty ? Repository.path + "/" + page.path : directory.appendingPathComponent(parts[0]).standardized.path
            #expect(FileManager.default.fileExists(atPath: file), "\(page.path):\(link.line): \(link.target)")
            guard parts.count > 1, file.hasSuffix(".md"), file.hasPrefix(Repository.path + "/") else { continue }
            let target = try MarkdownPage(String(file.dropFirst(Repository.path.count + 1)))
            #expect(target.headings.map(MarkdownPage.anchor).contains(parts[1]), "\(page.path):\(link.line): \(link.target)")
        }
    }

    @Test(arguments: try pages.get())
    func `a page is plain Markdown with one title and distinct headings`(page: MarkdownPage) {
        #expect(Set(page.headings.map(MarkdownPage.anchor)).count == page.headings.count)
        #expect(page.prose.filter { $0.text.hasPrefix("# ") }.count == 1)
        for (number, text) in page.prose {
            #expect(!text.contains("<doc:") && !text.contains("``"), "\(page.path):\(number): DocC only")
            #expect(!text.hasPrefix("    ") && !text.hasPrefix("\t"), "\(page.path):\(number): an indented code block")
            let isComment = text.hasPrefix("<!-- ") && text.hasSuffix(" -->")
            #expect(
                isComment
                    || !text.split(separator: "`", omittingEmptySubsequences: false).enumerated().contains {
                        $0.offset % 2 == 0 && $0.element.contains("<")
                    }, "\(page.path):\(number): HTML")
        }
    }

    @Test(arguments: try pages.get())
    func `every code block has a language and a known directive`(page: MarkdownPage) {
        for block in page.blocks {
            let location: Comment = "\(page.path):\(block.line)"
            #expect(Self.languages.contains(block.language), location)
            guard block.directive != nil else { continue }
            let (name, argument) = block.instruction
            #expect(Self.directives.contains(name), location)
            #expect(["skip", "rejected", "source"].contains(name) == !argument.isEmpty, location)
        }
    }

    @Test func `the index, the README and llms.txt list every page`() throws {
        let names = Set(try MarkdownPage.catalogue.map { ($0 as NSString).lastPathComponent })
        for path in ["Sources/GatewayServer/Documentation.docc/GatewayServer.md", "README.md", "llms.txt"] {
            let linked = try MarkdownPage(path).links.map { ($0.target as NSString).lastPathComponent.prefix { $0 != "#" } }
            #expect(names.subtracting(["GatewayServer.md"]).isSubset(of: linked.map(String.init)), "\(path)")
        }
    }

    @Test func `the README has at most 200 lines`() throws {
        let text = try String(contentsOfFile: Repository.path + "/README.md", encoding: .utf8)
        #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 200)
    }

    @Test(arguments: try pages.get().map { ($0, $0.blocks.filter { $0.instruction.name == "source" }) }.filter { !$1.isEmpty })
    func `quoted source appears in its file`(page: MarkdownPage, blocks: [MarkdownPage.Block]) throws {
        for block in blocks {
            var rest = try String(contentsOfFile: Repository.path + "/" + block.instruction.argument, encoding: .utf8)[...]
            for line in block.code.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) where !line.isEmpty {
                let range = try #require(rest.range(of: line), "\(page.path):\(block.line): \(line)")
                rest = rest[range.upperBound...]
            }
        }
    }

    @Test func `the pages render in DocC without a warning`() async throws {
        let output = try TemporaryDirectory()
        let environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
        let result = try await ChildProcess.run(
            "/bin/bash", [Repository.path + "/deploy/docs.sh", output.path + "/docs"], directory: Repository.path,
            environment: environment,
            timeout: .seconds(60))
        #expect(result.status == 0, "\(result.errorLines.suffix(20))")
        let rendered = Set(
            try FileManager.default.contentsOfDirectory(atPath: output.path + "/docs/data/documentation/parley")
                .map { $0.lowercased() })
        for page in try MarkdownPage.catalogue where !page.hasSuffix("/GatewayServer.md") {
            #expect(
                rendered.contains(((page as NSString).lastPathComponent as NSString).deletingPathExtension.lowercased() + ".json"),
                "\(page)")
        }
    }
}
