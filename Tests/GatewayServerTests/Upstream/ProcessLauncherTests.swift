// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

@testable import GatewayServer

/// `parley-launch`: the setup of a process before it executes an upstream's program.
struct ProcessLauncherTests {
    private let launcher: ProcessLauncher
    private let directory: TemporaryDirectory

    init() throws {
        launcher = try ProcessLauncher()
        directory = try TemporaryDirectory()
    }

    private func run(
        parent: Int32 = getpid(), memoryLimit: Int = 0, group: String? = nil, _ command: [String]
    ) async throws -> (status: ChildProcess.ExitStatus, lines: [String], errorLines: [String]) {
        try await ChildProcess.run(
            launcher.path, launcher.arguments(parent: parent, memoryLimit: memoryLimit, group: group, command: command),
            directory: directory.path
        )
    }

    @Test func `executes the program with its arguments and returns its exit status`() async throws {
        let ended = try await run(["sh", "-c", #"printf '%s\n' "$@"; exit 7"#, "sh", "two words", ""])
        #expect(ended.status == 7)
        #expect(ended.lines == ["two words", ""])
        #expect(ended.errorLines.isEmpty)
    }

    @Test func `limits the address space and disables core files`() async throws {
        let limits = "ulimit -v; ulimit -c"
        #expect(try await run(memoryLimit: 100 << 20, ["sh", "-c", limits]).lines == ["102400", "0"])
        #expect(try await run(["sh", "-c", limits]).lines == ["unlimited", "0"])
    }

    @Test func `exits with 1 when its parent has already exited`() async throws {
        let ended = try await run(parent: 1, ["echo", "x"])
        #expect(ended.status == 1)
        #expect(ended.lines.isEmpty)
    }

    @Test func `reports a missing program and exits with 127`() async throws {
        let ended = try await run(["/nonexistent/program"])
        #expect(ended.status == 127)
        #expect(ended.errorLines == ["parley: can't start /nonexistent/program: No such file or directory"])
    }

    @Test func `a missing control group is ignored`() async throws {
        #expect(try await run(group: directory.path, ["echo", "x"]).lines == ["x"])
        #expect(try await run(group: "/" + String(repeating: "x", count: 5000), ["echo", "x"]).lines == ["x"])
    }

    @Test(arguments: [
        ["1", "0", "-"], ["", "0", "-", "true"], ["1x", "0", "-", "true"], ["1", "-1", "-", "true"], ["1", " 1", "-", "true"],
        ["1", "99999999999999999999", "-", "true"],
    ])
    func `rejects invalid arguments with status 64`(arguments: [String]) async throws {
        let ended = try await ChildProcess.run(launcher.path, arguments, directory: directory.path)
        #expect(ended.status == 64)
        #expect(ended.errorLines == ["usage: parley-launch PARENT MEMORY GROUP PROGRAM [ARGUMENT ...]"])
    }

    @Test func `a launcher missing beside the gateway is reported`() throws {
        let missing = #expect(throws: ProcessLauncher.Missing.self) { try ProcessLauncher(beside: directory.path + "/parley (deleted)") }
        #expect(missing?.path == directory.path + "/parley-launch")
        #expect("\(try #require(missing))".contains("beside the parley executable"))
        try Data().write(to: URL(fileURLWithPath: directory.path + "/parley-launch"))
        #expect(throws: ProcessLauncher.Missing.self) { try ProcessLauncher(beside: directory.path + "/parley") }
    }
}
