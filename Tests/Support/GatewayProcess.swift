// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A gateway process of the real executable, with its own working directory, and ports chosen by the kernel.
package final class GatewayProcess: Sendable {
    package let process: ChildProcess
    package let directory: TemporaryDirectory
    /// The port of the front listener (TLS).
    package let port: Int
    /// The port of the operations listener (without TLS).
    package let operationsPort: Int

    /// Starts `parley serve` and waits until it listens.
    ///
    /// - Parameters:
    ///   - flags: configuration keys and their values, such as `["connections.max": "2"]`
    ///   - directory: the working directory, which may contain `config/`; nil for an empty one
    ///   - descriptors: the limit on open file descriptors; nil for the tests' own limit
    ///   - fileBytes: the limit on the size of each file that the process writes, which simulates a full disk until ``liftFileSizeLimit()``
    ///   - launcher: a command that executes the gateway's, which is appended to it
    package init(
        _ flags: [String: String] = [:], directory: TemporaryDirectory? = nil, environment: [String: String] = [:], descriptors: Int? = nil,
        fileBytes: Int? = nil, launcher: [String] = []
    ) async throws {
        self.directory = try directory ?? TemporaryDirectory()
        var command = [try Self.executable(), "serve"] + Self.arguments(flags)
        if let descriptors { command = ["/usr/bin/prlimit", "--nofile=\(descriptors):\(descriptors)"] + command }
        if let fileBytes { command = Self.limited(command, fileBytes: fileBytes) }
        for (key, value) in flags where ["auth.secret", "operations.token"].contains(key) || key.hasSuffix(".api_key") {
            LogScan.register(value)
        }
        command = launcher + command
        process = try ChildProcess(
            command[0], Array(command.dropFirst()), directory: self.directory.path, environment: environment, inspect: LogScan.inspect)
        let listening = try await Self.line(of: process) { $0["msg"] == "listening" && $0["logger"] == "parley.listener" }
        let serving = try await Self.line(of: process) {
            $0["logger"] == "parley.operations" && $0["msg"].string?.contains("listening on") ?? false
        }
        guard let port = Self.port(in: listening["address"].string), let operationsPort = Self.port(in: serving["msg"].string) else {
            throw TestFailure("no port in \(listening) or \(serving)")
        }
        self.port = port
        self.operationsPort = operationsPort
    }

    /// Returns the arguments of a gateway under test: default flags, overridden by `flags`.
    package static func arguments(_ flags: [String: String]) -> [String] {
        let defaults = ["listen.address": "127.0.0.1:0", "operations.address": "127.0.0.1:0", "logging.format": "json"]
        return defaults.merging(flags) { $1 }.sorted { $0.key < $1.key }.flatMap { ["--\($0.key)", $0.value] }
    }

    /// Returns the command wrapped in `prlimit` with a limit on the size of each file that it writes.
    package static func limited(_ command: [String], fileBytes: Int) -> [String] {
        ["/usr/bin/prlimit", "--fsize=\(fileBytes):unlimited"] + command
    }

    /// Lifts the limit on the size of files.
    package func liftFileSizeLimit() async throws {
        let result = try await ChildProcess.run(
            "/usr/bin/prlimit", ["--pid", "\(process.identifier)", "--fsize=unlimited:unlimited"], directory: directory.path)
        guard result.status == 0 else { throw TestFailure("prlimit: \(result.errorLines)") }
    }

    /// Returns the path of the executable: `PARLEY_EXECUTABLE`, or `parley` in the directory of the running tests.
    package static func executable() throws -> String {
        if let path = ProcessInfo.processInfo.environment["PARLEY_EXECUTABLE"] { return path }
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = (tests as NSString).deletingLastPathComponent + "/parley"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw TestFailure("\(path) doesn't exist; build the product parley, or set PARLEY_EXECUTABLE to its path")
        }
        return path
    }

    /// Runs another subcommand and waits for it to exit.
    package static func run(
        _ arguments: [String], directory: TemporaryDirectory, environment: [String: String] = [:], timeout limit: Duration = .seconds(30)
    ) async throws -> (status: ChildProcess.ExitStatus, lines: [String], errorLines: [String]) {
        try await ChildProcess.run(try executable(), arguments, directory: directory.path, environment: environment, timeout: limit)
    }

    // MARK: Log

    /// Returns the log so far.
    ///
    /// - Throws: ``TestFailure`` if a line isn't JSON
    package func log() throws -> [JSON] { try process.lines.map { try JSON($0) } }

    /// Returns the first matching line of the log; waits for it if necessary.
    package func line(timeout limit: Duration = .seconds(20), where matches: @Sendable (JSON) -> Bool) async throws -> JSON {
        try await Self.line(of: process, timeout: limit, where: matches)
    }

    package func line(_ message: String, timeout limit: Duration = .seconds(20)) async throws -> JSON {
        try await line(timeout: limit) { $0["msg"] == .string(message) }
    }

    private static func line(
        of process: ChildProcess, timeout limit: Duration = .seconds(20), where matches: (JSON) -> Bool
    ) async throws -> JSON {
        var seen = 0
        let found: JSON? = try await process.output.wait(timeout: limit) { output in
            while seen < output.lines.count {
                seen += 1
                if let line = try? JSON(output.lines[seen - 1]), matches(line) { return line }
            }
            if let status = output.status {
                throw TestFailure("the gateway exited with \(status): \(output.errorLines) \(output.lines.suffix(5))")
            }
            return nil
        }
        guard let found else { throw TestFailure("no matching log line within \(limit); last lines: \(process.lines.suffix(5))") }
        return found
    }

    // MARK: Exit

    package func signal(_ number: Int32) { process.signal(number) }

    package func exit(timeout limit: Duration = .seconds(20)) async throws -> ChildProcess.ExitStatus {
        try await process.exit(timeout: limit)
    }

    /// Kills the process and waits for it to exit. A test that starts its own gateway calls this last.
    package func stop() async throws {
        process.signal(SIGKILL)
        _ = try await process.exit()
    }

    /// Returns the number after the last colon.
    private static func port(in text: String?) -> Int? {
        guard let digits = text?.split(separator: ":").last?.prefix(while: \.isNumber) else { return nil }
        return Int(digits)
    }
}
