/// A server of `Tests/Upstreams` that answers well or badly, as each request asks it to.
package final class UpstreamDouble: Sendable {
    package let process: ChildProcess
    package let port: Int
    private let folder: TemporaryFolder

    /// - Parameters:
    ///   - kind: `http`, `openai`, `websocket` or `vosk`
    ///   - certificate: paths of a PEM certificate and its key; nil for a server in the clear
    package convenience init(_ kind: String, certificate: (String, String)? = nil) async throws {
        var arguments = ["--stay", "--kind", kind]
        if let certificate { arguments += ["--tls", certificate.0, certificate.1] }
        try await self.init(script: "faulty.py", arguments)
    }

    /// A server with a behaviour of its own.
    package init(script: String, _ arguments: [String] = []) async throws {
        folder = try TemporaryFolder()
        process = try ChildProcess(
            try Python.path(), ["-B", Python.repository + "/Tests/Upstreams/\(script)"] + arguments, folder: folder.path)
        guard let port = try await Self.event(of: process, where: { $0["ready"] == true })["port"].integer else {
            throw TestFailure("the double has no port")
        }
        self.port = port
    }

    package var events: [JSON] { get throws { try process.lines.map { try JSON($0) } } }

    /// The first event, seen already or still to come, that is meant.
    @discardableResult
    package func event(where isMeant: @Sendable (JSON) -> Bool) async throws -> JSON { try await Self.event(of: process, where: isMeant) }

    @discardableResult
    package func event(_ name: String, id: String) async throws -> JSON {
        try await event { $0["event"].string == name && $0["id"].string == id }
    }

    private static func event(of process: ChildProcess, where isMeant: (JSON) -> Bool) async throws -> JSON {
        var seen = 0
        let found: JSON? = try await process.output.wait(atMost: .seconds(20)) { output in
            while seen < output.lines.count {
                seen += 1
                if let line = try? JSON(output.lines[seen - 1]), isMeant(line) { return line }
            }
            if let status = output.status { throw TestFailure("the double ended with \(status): \(output.errorLines)") }
            return nil
        }
        guard let found else { throw TestFailure("the event didn't come; the last ones: \(process.lines.suffix(5))") }
        return found
    }

    /// One of each kind, for all tests.
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
