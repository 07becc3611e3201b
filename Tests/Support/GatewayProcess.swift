import Foundation

/// The real executable, serving on ports of its own choice in a folder of its own.
package final class GatewayProcess: Sendable {
    package let process: ChildProcess
    package let folder: TemporaryFolder
    /// Where clients connect, over TLS.
    package let port: Int
    /// Where operations answer, in the clear.
    package let operationsPort: Int

    /// Starts `parley serve` and waits until it listens.
    ///
    /// - Parameters:
    ///   - flags: configuration keys and their values, such as `["connections.max": "2"]`
    ///   - folder: the working directory, with a `config/` perhaps; nil for an empty one
    ///   - descriptors: how many files and sockets it may have open; nil for as many as the tests may
    ///   - fileBytes: how large a file it may write, which is a full disk to it until ``makeRoom()``
    package init(
        _ flags: [String: String] = [:], folder: TemporaryFolder? = nil, environment: [String: String] = [:], descriptors: Int? = nil,
        fileBytes: Int? = nil
    ) async throws {
        self.folder = try folder ?? TemporaryFolder()
        var command = [try Self.executable(), "serve"] + Self.arguments(flags)
        if let descriptors { command = ["/usr/bin/prlimit", "--nofile=\(descriptors):\(descriptors)"] + command }
        if let fileBytes { command = Self.limited(command, fileBytes: fileBytes) }
        process = try ChildProcess(command[0], Array(command.dropFirst()), folder: self.folder.path, environment: environment)
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

    /// What every gateway of the tests is started with, and `flags` over it.
    package static func arguments(_ flags: [String: String]) -> [String] {
        let own = ["listen.address": "127.0.0.1:0", "operations.address": "127.0.0.1:0", "logging.format": "json"]
        return own.merging(flags) { $1 }.sorted { $0.key < $1.key }.flatMap { ["--\($0.key)", $0.value] }
    }

    /// The command under a limit on the size of each file that it writes.
    package static func limited(_ command: [String], fileBytes: Int) -> [String] {
        ["/usr/bin/prlimit", "--fsize=\(fileBytes):unlimited"] + command
    }

    /// It may write files of any size from now on.
    package func makeRoom() async throws {
        let result = try await ChildProcess.run(
            "/usr/bin/prlimit", ["--pid", "\(process.identifier)", "--fsize=unlimited:unlimited"], folder: folder.path)
        guard result.status == 0 else { throw TestFailure("prlimit: \(result.errorLines)") }
    }

    /// The built executable: `PARLEY_EXECUTABLE`, or the one beside the running tests.
    package static func executable() throws -> String {
        if let path = ProcessInfo.processInfo.environment["PARLEY_EXECUTABLE"] { return path }
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = (own as NSString).deletingLastPathComponent + "/parley"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw TestFailure("there is no \(path); build the product parley, or say where it is in PARLEY_EXECUTABLE")
        }
        return path
    }

    /// Runs another subcommand to its end.
    package static func run(
        _ arguments: [String], folder: TemporaryFolder, environment: [String: String] = [:], atMost limit: Duration = .seconds(30)
    ) async throws -> (status: ChildProcess.ExitStatus, lines: [String], errorLines: [String]) {
        try await ChildProcess.run(try executable(), arguments, folder: folder.path, environment: environment, atMost: limit)
    }

    // MARK: Its log

    /// The log so far; each line must be JSON.
    package func log() throws -> [JSON] { try process.lines.map { try JSON($0) } }

    /// The first line of the log, written already or still to come, that is meant.
    package func line(atMost limit: Duration = .seconds(20), where isMeant: @Sendable (JSON) -> Bool) async throws -> JSON {
        try await Self.line(of: process, atMost: limit, where: isMeant)
    }

    package func line(_ message: String, atMost limit: Duration = .seconds(20)) async throws -> JSON {
        try await line(atMost: limit) { $0["msg"] == .string(message) }
    }

    private static func line(
        of process: ChildProcess, atMost limit: Duration = .seconds(20), where isMeant: (JSON) -> Bool
    ) async throws -> JSON {
        var seen = 0
        let found: JSON? = try await process.output.wait(atMost: limit) { output in
            while seen < output.lines.count {
                seen += 1
                if let line = try? JSON(output.lines[seen - 1]), isMeant(line) { return line }
            }
            if let status = output.status {
                throw TestFailure("the gateway ended with \(status): \(output.errorLines) \(output.lines.suffix(5))")
            }
            return nil
        }
        guard let found else { throw TestFailure("the line didn't come; the last ones: \(process.lines.suffix(5))") }
        return found
    }

    // MARK: Its end

    package func signal(_ number: Int32) { process.signal(number) }

    package func exit(atMost limit: Duration = .seconds(20)) async throws -> ChildProcess.ExitStatus {
        try await process.exit(atMost: limit)
    }

    /// Ends it and waits for that. What a test that started its own gateway does last.
    package func stop() async throws {
        process.signal(SIGKILL)
        _ = try await process.exit()
    }

    /// The number behind the last colon.
    private static func port(in text: String?) -> Int? {
        guard let digits = text?.split(separator: ":").last?.prefix(while: \.isNumber) else { return nil }
        return Int(digits)
    }
}
