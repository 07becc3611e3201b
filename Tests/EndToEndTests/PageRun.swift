// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The blocks of one page in their order, in a directory that looks like the repository.
struct PageRun {
    private let page: MarkdownPage
    let directory: TemporaryDirectory
    private let environment: [String: String]
    /// The output of the previous block.
    private var output: [String] = []
    private var background: ChildProcess?

    init(_ page: MarkdownPage) throws {
        self.page = page
        directory = try TemporaryDirectory()
        let files = FileManager.default
        for name in ["Sources", "Tests", "deploy"] {
            try files.createSymbolicLink(atPath: directory.path + "/" + name, withDestinationPath: Repository.path + "/" + name)
        }
        try files.copyItem(atPath: Repository.path + "/config", toPath: directory.path + "/config")
        let executable = try GatewayProcess.executable()
        // The scripts need PARLEY_EXECUTABLE, but the gateway rejects unknown PARLEY_ variables.
        try directory.write("#!/bin/sh\nexec env -u PARLEY_EXECUTABLE '\(executable)' \"$@\"\n", to: "bin/parley")
        try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory.path + "/bin/parley")
        let python = (try Python.path() as NSString).deletingLastPathComponent
        environment = [
            "PATH": "\(directory.path)/bin:\(python):/usr/local/bin:/usr/bin:/bin", "PARLEY_EXECUTABLE": executable, "HOME": directory.path,
            "LC_ALL": "C.UTF-8",
        ]
    }

    mutating func perform(_ block: MarkdownPage.Block) async throws {
        let location = "\(page.path):\(block.line)"
        switch (block.language, block.instruction.name) {
        case (_, "skip"): break
        case (_, "output"):
            let expected = block.code.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
            #expect(Self.matches(output[...], expected[...]), "\(location): \(output)")
        case ("sh", "background"):
            await stopBackground()
            await waitForPorts()
            // The command runs in its own session, so that all processes that it starts can be stopped together.
            background = try ChildProcess(
                "/usr/bin/setsid", ["/bin/bash", "-euc", block.code], directory: directory.path, environment: environment)
            try await awaitReady(location, usesTLS: block.code.contains("--operations.tls.certificates"))
        case ("sh", _): try await run("/bin/bash", ["-euo", "pipefail", "-c", block.code], location)
        case ("python", _): try await run(try Python.path(), ["-c", block.code], location)
        default: break
        }
    }

    private mutating func run(_ program: String, _ arguments: [String], _ location: String) async throws {
        let result = try await ChildProcess.run(
            program, arguments, directory: directory.path, environment: environment, timeout: .seconds(60))
        try #require(
            result.status == 0,
            "\(location): \(result.lines.suffix(10)) \(result.errorLines.suffix(10)) \(background?.lines.suffix(5) ?? [])")
        output = result.lines
    }

    private func awaitReady(_ location: String, usesTLS: Bool) async throws {
        let url = "\(usesTLS ? "https" : "http")://127.0.0.1:9464/readyz"
        let ready = ["-fsSk", "--retry", "40", "--retry-all-errors", "--retry-delay", "1", url]
        let result = try await ChildProcess.run("/usr/bin/curl", ready, directory: directory.path, timeout: .seconds(60))
        try #require(
            result.status == 0 && background?.isRunning == true,
            "\(location): no gateway is ready: \(background?.lines.suffix(5) ?? []) \(background?.errorLines.suffix(5) ?? [])")
    }

    /// Waits up to 100 s until nothing listens on the default ports (8443, 9464) of any address: another test may, and a page listens on all.
    private func waitForPorts() async {
        let wait = #"for _ in {1..1000}; do grep -qE ":(20FB|24F8) [0-9A-F:]+ 0A " /proc/net/tcp || exit 0; sleep 0.1; done"#
        _ = try? await ChildProcess.run("/bin/bash", ["-c", wait], directory: directory.path, timeout: .seconds(110))
    }

    mutating func stopBackground() async {
        guard let process = background else { return }
        kill(-process.identifier, SIGTERM)
        if (try? await process.exit(timeout: .seconds(10))) == nil { kill(-process.identifier, SIGKILL) }
        // The shell may exit before the gateway, whose ports the next page needs.
        let end = ContinuousClock.now + .seconds(10)
        while kill(-process.identifier, 0) == 0 {
            if ContinuousClock.now > end { kill(-process.identifier, SIGKILL) }
            try? await Task.sleep(for: .milliseconds(10))
        }
        background = nil
    }

    /// Whether the lines match those on a page: `…` matches any text within a line, and any number of lines if it is a whole line.
    static func matches(_ lines: ArraySlice<String>, _ expected: ArraySlice<String>) -> Bool {
        guard let first = expected.first else { return lines.isEmpty }
        if first == "…" {
            return (lines.startIndex...lines.endIndex).contains { matches(lines[$0...], expected.dropFirst()) }
        }
        guard let line = lines.first else { return false }
        return matches(line: line, first) && matches(lines.dropFirst(), expected.dropFirst())
    }

    private static func matches(line: String, _ expected: String) -> Bool {
        let parts = expected.components(separatedBy: "…")
        guard parts.count > 1 else { return line == expected }
        guard line.hasPrefix(parts[0]) else { return false }
        var rest = line.dropFirst(parts[0].count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let range = rest.range(of: part) else { return false }
            rest = rest[range.upperBound...]
        }
        return rest.hasSuffix(parts[parts.count - 1])
    }
}
