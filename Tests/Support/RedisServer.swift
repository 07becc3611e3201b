// SPDX-License-Identifier: Apache-2.0

import Foundation
package import GatewayRedis
package import GatewayTLS
import Synchronization

/// A `redis-server` of a test, with a temporary directory, on a free port of 127.0.0.1. It keeps nothing on disk unless options say so.
package final class RedisServer: Sendable {
    package let port: Int
    private let directory: TemporaryDirectory
    private let arguments: [String]
    private let process: Mutex<ChildProcess>

    /// The certificate of the server, for TLS in place of plaintext.
    package struct Security: Sendable {
        package var certificate: TLSSettings.Certificate

        package init(_ certificate: TLSSettings.Certificate) { self.certificate = certificate }
    }

    /// Starts a server and waits until it accepts connections.
    ///
    /// - Parameter options: such as `["--maxmemory", "1mb"]`
    package convenience init(_ options: [String] = [], security: Security? = nil) async throws {
        var arguments = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--bind", "127.0.0.1"]
        if let security {
            arguments += [
                "--tls-cert-file", security.certificate.certificate, "--tls-key-file", security.certificate.key, "--tls-auth-clients", "no",
            ]
        }
        try await self.init(
            arguments: arguments + options, portOption: security == nil ? "--port" : "--tls-port", isSecure: security != nil)
    }

    private init(arguments: [String], portOption: String, isSecure: Bool) async throws {
        let directory = try TemporaryDirectory()
        // Another process can take a port between the choice and the start.
        for _ in 0..<10 {
            let port = try Self.unusedPort()
            let all = (isSecure ? ["--port", "0"] : []) + [portOption, "\(port)"] + arguments
            let process = try ChildProcess("redis-server", all, directory: directory.path)
            guard try await Self.isReady(process) else { continue }
            self.port = port
            self.directory = directory
            self.arguments = all
            self.process = Mutex(process)
            return
        }
        throw TestFailure("redis-server found no free port")
    }

    /// Starts a Sentinel that monitors `master` with a quorum of one.
    package init(sentinelOf master: RedisServer, name: String, options: [String] = []) async throws {
        let directory = try TemporaryDirectory()
        for _ in 0..<10 {
            let port = try Self.unusedPort()
            let lines =
                [
                    "port \(port)", "bind 127.0.0.1", "sentinel monitor \(name) 127.0.0.1 \(master.port) 1",
                    "sentinel down-after-milliseconds \(name) 500", "sentinel failover-timeout \(name) 3000",
                ] + options
            let path = try directory.write(lines.joined(separator: "\n") + "\n", to: "sentinel.conf")
            let process = try ChildProcess("redis-server", [path, "--sentinel"], directory: directory.path)
            guard try await Self.isReady(process, line: "+monitor master") else { continue }
            self.port = port
            self.directory = directory
            self.arguments = [path, "--sentinel"]
            self.process = Mutex(process)
            return
        }
        throw TestFailure("redis-server --sentinel found no free port")
    }

    package var endpoint: RedisEndpoint { RedisEndpoint(host: "127.0.0.1", port: port) }

    /// The output so far.
    package var log: [String] { process.withLock { $0 }.lines }

    // MARK: Faults

    /// Kills the server at once (SIGKILL) and waits for its end.
    package func kill() async throws {
        let process = process.withLock { $0 }
        process.signal(SIGKILL)
        _ = try await process.exit()
    }

    /// Starts the server again after ``kill()``, with the same port and directory.
    ///
    /// - Parameter line: the part of the output to wait for
    package func restart(until line: String = "Ready to accept connections") async throws {
        let process = try ChildProcess("redis-server", arguments, directory: directory.path)
        guard try await Self.isReady(process, line: line) else { throw TestFailure("port \(port) is in use") }
        self.process.withLock { $0 = process }
    }

    /// Stops the server from running (SIGSTOP). Its kernel still accepts connections and bytes.
    package func suspend() { process.withLock { $0 }.signal(SIGSTOP) }

    /// Lets the server run again (SIGCONT).
    package func resume() { process.withLock { $0 }.signal(SIGCONT) }

    // MARK: Commands

    /// Runs `redis-cli` with these arguments and returns its output.
    @discardableResult
    package func cli(_ arguments: String...) async throws -> String {
        try await Self.cli(["-p", "\(port)"] + arguments, directory: directory.path)
    }

    package static func cli(_ arguments: [String], directory: String) async throws -> String {
        let result = try await ChildProcess.run("redis-cli", arguments, directory: directory)
        guard result.status == 0 else {
            throw TestFailure("redis-cli failed: \((result.lines + result.errorLines).joined(separator: "\n"))")
        }
        return result.lines.joined(separator: "\n")
    }

    /// Runs `redis-cli` again and again until its output contains `text`.
    package func wait(for text: String, in arguments: String..., timeout: Duration = .seconds(20)) async throws {
        let deadline = ContinuousClock.now + timeout
        var last = ""
        while ContinuousClock.now < deadline {
            last = try await Self.cli(["-p", "\(port)"] + arguments, directory: directory.path)
            if last.contains(text) { return }
        }
        throw TestFailure("\(arguments) doesn't contain \(text): \(last)")
    }

    /// Waits until this server is a replica in sync with its master.
    package func waitForSync() async throws { try await wait(for: "master_link_status:up", in: "INFO", "replication") }

    // MARK: Cluster

    /// Starts three masters that share all slots.
    package static func cluster() async throws -> [RedisServer] {
        var servers: [RedisServer] = []
        for _ in 0..<3 {
            servers.append(try await RedisServer(["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]))
        }
        let addresses = servers.map { "127.0.0.1:\($0.port)" }
        _ = try await cli(["--cluster", "create"] + addresses + ["--cluster-yes"], directory: servers[0].directory.path)
        for server in servers { try await server.wait(for: "cluster_state:ok", in: "CLUSTER", "INFO") }
        return servers
    }

    // MARK: Starting

    /// Waits for a line of the output.
    ///
    /// - Returns: false if the port is in use
    private static func isReady(_ process: ChildProcess, line: String = "Ready to accept connections") async throws -> Bool {
        let isReady: Bool? = await process.output.wait(timeout: .seconds(20)) { output in
            if output.lines.contains(where: { $0.contains(line) }) { return true }
            return output.status == nil ? nil : false
        }
        if isReady == true { return true }
        let lines = process.lines + process.errorLines
        if isReady == false, lines.contains(where: { $0.contains("Address already in use") }) { return false }
        process.signal(SIGKILL)
        throw TestFailure("redis-server didn't start: \(lines.suffix(5).joined(separator: "\n"))")
    }

    /// Returns a port that no process listens on, and whose cluster bus port (10,000 higher) exists.
    private static func unusedPort() throws -> Int {
        for _ in 0..<1000 {
            let number = try ReservedPort().number
            if number + 10_000 <= 65535 { return number }
        }
        throw TestFailure("no unused port below 55536")
    }
}
