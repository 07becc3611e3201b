// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The manual pages and completion scripts, which are generated from the executable.
@Suite("Manual pages and completions", .bounded) struct CommandLineFileTests {
    // MARK: Manual pages

    @Test func `the manual pages describe every subcommand, option and key, without a warning of mandoc or man`() async throws {
        let directory = try TemporaryDirectory()
        let generated = try await ChildProcess.run(
            "/usr/bin/python3",
            [
                "-B", Repository.path + "/deploy/package/manuals.py", "--executable", try GatewayProcess.executable(), "--output",
                directory.path + "/man", "--date", "2026-11-29",
            ], directory: directory.path)
        try #require(generated.status == 0, "\(generated.errorLines)")
        let commands = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/man/man1").sorted()
        let help = try await GatewayProcess.run(["--help"], directory: directory)
        for name in help.lines.compactMap({ $0.prefixMatch(of: #/ {2}([a-z]+) /#)?.1 }) {
            #expect(commands.contains("parley-\(name).1"), "\(name)")
        }
        let paths = commands.map { "man/man1/" + $0 } + ["man/man5/parley.yaml.5"]
        for path in paths {
            let lint = try await ChildProcess.run("/usr/bin/mandoc", ["-T", "lint", "-W", "warning", path], directory: directory.path)
            #expect(lint.status == 0 && lint.lines.isEmpty, "\(lint.lines) \(lint.errorLines)")
            let man = try await ChildProcess.run(
                "/usr/bin/man", ["--warnings", "-E", "UTF-8", "--local-file", "-Tutf8", "-Z", path], directory: directory.path,
                environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"])
            #expect(man.status == 0 && man.errorLines.isEmpty, "\(man.errorLines)")
        }

        let talk = try await Self.text("man/man1/parley-talk.1", in: directory)
        for option in ["--insecure", "--ca <file>", "--audio <file>", "-q, --quiet", "<url>"] {
            #expect(talk.contains(option), "\(option)")
        }
        let keys = try await Self.text("man/man5/parley.yaml.5", in: directory)
        let listing = try await GatewayProcess.run(["config", "keys"], directory: directory)
        for line in listing.lines where !line.hasPrefix(" ") && !line.isEmpty {
            let name = line.split(separator: " ")[0]
            #expect(keys.contains("\n       \(name)\n"), "\(name)")
        }
    }

    /// Returns a page as a terminal shows it, without bold and underlined characters.
    private static func text(_ path: String, in directory: TemporaryDirectory) async throws -> String {
        let result = try await ChildProcess.run(
            "/usr/bin/mandoc", ["-T", "utf8", "-O", "width=200", path], directory: directory.path)
        return result.lines.map { $0.replacing(/.\u{8}/, with: "") }.joined(separator: "\n")
    }

    // MARK: Completions

    @Test(arguments: ["bash", "zsh", "fish"])
    func `the completion script of a shell is valid in that shell and knows the options of talk`(shell: String) async throws {
        let directory = try TemporaryDirectory()
        let script = try await Self.script(for: shell, in: directory)
        let check = try await ChildProcess.run("/usr/bin/env", [shell, "-n", script], directory: directory.path)
        #expect(check.status == 0 && check.errorLines.isEmpty, "\(check.errorLines)")
        let text = try directory.read("completions")
        for word in ["serve", "config", "sessions", "annotate", "insecure", "reconnect"] { #expect(text.contains(word), "\(word)") }
    }

    @Test(
        arguments: [
            ("parley ser", "serve"), ("parley config ch", "check"), ("parley talk --insec", "--insecure"),
            ("parley sessions list --tok", "--token-file"),
        ])
    func `bash completes subcommands and options`(line: String, completion: String) async throws {
        let directory = try TemporaryDirectory()
        let script = try await Self.script(for: "bash", in: directory)
        let program = """
            . "$1"
            COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9
            COMP_WORDS=($2)
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _parley parley "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let result = try await ChildProcess.run("/bin/bash", ["-c", program, "bash", script, line], directory: directory.path)
        #expect(result.lines.map { $0.trimmingCharacters(in: .whitespaces) } == [completion], "\(result.errorLines)")
    }

    @Test func `an unknown shell is an error that names the known ones`() async throws {
        let run = try await GatewayProcess.run(["--generate-completion-script", "tcsh"], directory: try TemporaryDirectory())
        #expect(run.status == 64)
        #expect(run.errorLines.joined(separator: "\n").contains("zsh bash fish"))
    }

    /// Writes the completion script of a shell, and returns its path.
    private static func script(for shell: String, in directory: TemporaryDirectory) async throws -> String {
        let run = try await GatewayProcess.run(["--generate-completion-script", shell], directory: directory)
        try #require(run.status == 0, "\(run.errorLines)")
        return try directory.write(run.lines.joined(separator: "\n") + "\n", to: "completions")
    }
}
