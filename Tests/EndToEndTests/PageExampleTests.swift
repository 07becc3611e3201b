// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Runs the examples of the documentation pages unchanged. CONTRIBUTING.md describes the directives.
///
/// The pages use the default ports, so one page runs at a time, and no other gateway may listen on them.
@Suite("The examples of the pages", .serialized) struct PageExampleTests {
    private static let pages = Result { try MarkdownPage.all.filter { !$0.blocks.isEmpty } }

    @Test(arguments: try pages.get())
    func `every command of a page succeeds and prints what the page shows`(page: MarkdownPage) async throws {
        var run = try PageRun(page)
        do {
            for block in page.blocks { try await run.perform(block) }
        } catch {
            await run.stopBackground()
            throw error
        }
        await run.stopBackground()
    }

    @Test(arguments: ["Browser", "ESP32", "Tables"])
    func `the examples for browsers and ESP32 work, and the tables of codes are those of the clients`(group: String) async throws {
        let environment = [
            "PARLEY_EXECUTABLE": try GatewayProcess.executable(), "PYTHONPATH": Repository.path + "/Sources/parley-python/src",
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8",
        ]
        let result = try await ChildProcess.run(
            try Python.path(), [Repository.path + "/Tests/SDK/pages.py", group], directory: Repository.path, environment: environment,
            timeout: .seconds(300))
        #expect(result.status == 0, "\(result.errorLines.suffix(40))")
    }

    @Test(arguments: try pages.get())
    func `every configuration of a page passes the check`(page: MarkdownPage) async throws {
        for block in page.blocks where block.language == "yaml" && block.instruction.name != "skip" {
            let directory = try TemporaryDirectory()
            try directory.write(block.code, to: "config/gateway.yaml")
            let result = try await GatewayProcess.run(["config", "check"], directory: directory)
            #expect(result.status == 0, "\(page.path):\(block.line): \(result.lines + result.errorLines)")
        }
    }

    @Test(arguments: try pages.get())
    func `every JSON block of a page is valid JSON`(page: MarkdownPage) throws {
        for block in page.blocks where block.language == "json" && !["output", "skip"].contains(block.instruction.name) {
            #expect(throws: Never.self, "\(page.path):\(block.line)") { for text in try JSONTexts.split(block.code) { _ = try JSON(text) } }
        }
    }

    private static let protocolBlocks = Result {
        try MarkdownPage("Sources/GatewayServer/Documentation.docc/Protocol.md").blocks.filter { $0.language == "json" }
    }

    @Test(arguments: try protocolBlocks.get().filter { $0.instruction.name == "client" })
    func `the gateway accepts the client messages of the protocol page`(block: MarkdownPage.Block) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let texts = try JSONTexts.split(block.code)
        for text in texts { try await client.send(text) }
        if try JSON(texts[texts.count - 1])["type"] == "bye" {
            #expect(try await client.expectClose(1000) == "bye", "line \(block.line)")
            return
        }
        try await client.send(["type": "ping", "id": "end-of-example"])
        while true {
            let message = try await client.message()
            if message["type"] == "pong", message["id"] == "end-of-example" { break }
            #expect(message["type"] != "error", "line \(block.line): \(message.text)")
        }
    }

    @Test(arguments: try protocolBlocks.get().filter { $0.instruction.name == "rejected" })
    func `the gateway rejects the client messages that the protocol page marks as rejected`(block: MarkdownPage.Block) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        for text in try JSONTexts.split(block.code) {
            try await client.send(text)
            let error = try await client.error(String(block.instruction.argument))
            #expect(error["fatal"] == false, "line \(block.line)")
        }
    }

    @Test(arguments: try protocolBlocks.get().filter { ["", "server"].contains($0.instruction.name) })
    func `the server messages of the protocol page have types and fields that the gateway writes`(block: MarkdownPage.Block) throws {
        let (types, fields) = try Self.written.get()
        for message in try JSONTexts.split(block.code).map({ try JSON($0) }) {
            #expect(types.contains(message["type"].string ?? ""), "line \(block.line): \(message.text)")
            #expect(Set((message.object ?? [:]).keys).subtracting(["type"]).isSubset(of: fields), "line \(block.line)")
        }
    }

    /// The types and fields of messages, read from the sources that write them.
    private static let written = Result { () -> (types: Set<String>, fields: Set<String>) in
        let directory = Repository.path + "/Sources/GatewayCore/Protocol/Outgoing"
        var (types, fields): (Set<String>, Set<String>) = ([], [])
        for file in try FileManager.default.contentsOfDirectory(atPath: directory) {
            let text = try String(contentsOfFile: directory + "/" + file, encoding: .utf8)
            for match in text.matches(of: /(?:type: StaticString = |message\()"([a-z]+)"/) { types.insert(String(match.1)) }
            for match in text.matches(of: /(?:member|object|array|members)\((?:null: )?"([a-z_]+)"/) { fields.insert(String(match.1)) }
        }
        return (types, fields)
    }
}

/// Concatenated JSON texts, each on one or more lines.
private enum JSONTexts {
    static func split(_ text: String) throws -> [String] {
        var (depth, isString, isEscaped) = (0, false, false)
        var current = ""
        var texts: [String] = []
        for character in text {
            if depth == 0, character.isWhitespace, !isString { continue }
            current.append(character)
            if isString {
                if isEscaped {
                    isEscaped = false
                } else if character == "\\" {
                    isEscaped = true
                } else if character == "\"" {
                    isString = false
                }
                continue
            }
            switch character {
            case "\"": isString = true
            case "{", "[": depth += 1
            case "}", "]":
                depth -= 1
                if depth == 0 {
                    texts.append(current)
                    current = ""
                }
            default: break
            }
        }
        guard current.isEmpty, !texts.isEmpty else { throw TestFailure("not JSON: \(text)") }
        return texts
    }
}
