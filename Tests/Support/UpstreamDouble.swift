// SPDX-License-Identifier: Apache-2.0

/// A test server of `Tests/Upstreams`. Each request selects correct or faulty behavior.
package final class UpstreamDouble: Sendable {
    package let process: ChildProcess
    package let port: Int
    private let directory: TemporaryDirectory

    /// - Parameters:
    ///   - kind: `http`, `openai`, `websocket` or `vosk`
    ///   - certificate: the paths of a PEM certificate and its key; nil for a server without TLS
    package convenience init(_ kind: String, certificate: (String, String)? = nil) async throws {
        var arguments = ["--stay", "--kind", kind]
        if let certificate { arguments += ["--tls", certificate.0, certificate.1] }
        try await self.init(script: "faulty.py", arguments)
    }

    /// Starts another script of `Tests/Upstreams`.
    package init(script: String, _ arguments: [String] = []) async throws {
        directory = try TemporaryDirectory()
        process = try ChildProcess(
            try Python.path(), ["-B", Repository.path + "/Tests/Upstreams/\(script)"] + arguments, directory: directory.path)
        guard let port = try await Self.event(of: process, where: { $0["ready"] == true })["port"].integer else {
            throw TestFailure("the test server reported no port")
        }
        self.port = port
    }

    package var events: [JSON] { get throws { try process.lines.map { try JSON($0) } } }

    /// Returns the first matching event; waits for it if necessary.
    @discardableResult
    package func event(where matches: @Sendable (JSON) -> Bool) async throws -> JSON { try await Self.event(of: process, where: matches) }

    @discardableResult
    package func event(_ name: String, id: String) async throws -> JSON {
        try await event { $0["event"].string == name && $0["id"].string == id }
    }

    private static func event(of process: ChildProcess, where matches: (JSON) -> Bool) async throws -> JSON {
        var seen = 0
        let found: JSON? = try await process.output.wait(timeout: .seconds(20)) { output in
            while seen < output.lines.count {
                seen += 1
                if let line = try? JSON(output.lines[seen - 1]), matches(line) { return line }
            }
            if let status = output.status { throw TestFailure("the test server exited with \(status): \(output.errorLines)") }
            return nil
        }
        guard let found else { throw TestFailure("no matching event within 20 s; last lines: \(process.lines.suffix(5))") }
        return found
    }

    /// Returns the server of this kind that all tests share.
    package static func shared(_ kind: String) async throws -> UpstreamDouble { try await SharedDoubles.shared.double(kind) }
}

private actor SharedDoubles {
    static let shared = SharedDoubles()
    private var starting: [String: Task<UpstreamDouble, any Error>] = [:]

    func double(_ kind: String) async throws -> UpstreamDouble {
        if let task = starting[kind] { return try await task.value }
        let task = Task { try await UpstreamDouble(kind) }
        starting[kind] = task
        return try await task.value
    }
}
