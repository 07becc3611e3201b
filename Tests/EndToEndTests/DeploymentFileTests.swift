// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The files of `deploy` for containers and Kubernetes: valid by their schemas, and consistent with the gateway's configuration.
///
/// The validators are packages of PyPI, which `deploy/setup.sh test` installs; none needs a container engine or a cluster.
@Suite("The deployment files", .bounded) struct DeploymentFileTests {
    private static let tools = Repository.path + "/.build/deployment-venv/bin"

    /// Runs a program, and records what it prints as an issue if it fails.
    @discardableResult
    private static func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:]
    ) async throws -> [String] {
        let directory = try TemporaryDirectory()
        let result = try await ChildProcess.run(
            program, arguments, directory: directory.path, environment: environment, timeout: .seconds(60))
        #expect(result.status == 0, "\((result.lines + result.errorLines).joined(separator: "\n"))")
        return result.lines
    }

    /// Writes the listing of the configuration keys, and returns its path.
    private static func writeKeys(to directory: TemporaryDirectory) async throws -> String {
        let keys = try await GatewayProcess.run(["config", "keys"], directory: directory)
        return try directory.write(keys.lines.joined(separator: "\n") + "\n", to: "keys")
    }

    // MARK: A cluster on one machine

    @Test func `the servers of the cluster's files start with them`() async throws {
        let directory = try TemporaryDirectory()
        let program = Repository.path + "/Tests/EndToEndTests/Deployment/cluster.py"
        try await Self.run(Self.tools + "/python", ["-B", program, Repository.path + "/deploy/cluster", directory.path])
    }

    @Test func `a conversation survives the loss of its gateway and of Redis's master`() async throws {
        let directory = try TemporaryDirectory()
        // An address of its own, because the ports of the cluster are fixed.
        let address = "127.\(Int.random(in: 64...127)).\(Int.random(in: 1...254)).\(Int.random(in: 1...254))"
        let result = try await ChildProcess.run(
            "/bin/bash", [Repository.path + "/deploy/cluster/run.sh", "--check", "--address", address], directory: Repository.path,
            environment: [
                "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": directory.path, "TMPDIR": directory.path,
                "PARLEY_EXECUTABLE": try GatewayProcess.executable(),
            ], timeout: .seconds(180))
        #expect(result.status == 0, "\((result.lines + result.errorLines).joined(separator: "\n"))")
        #expect(result.lines.last == "check: every acknowledged text has one response, in order", "\(result.lines)")
    }

    // MARK: Containers

    @Test func `the Containerfile passes hadolint`() async throws {
        try await Self.run(Self.tools + "/hadolint", ["--failure-threshold", "style", Repository.path + "/deploy/container/Containerfile"])
    }

    @Test(arguments: [("deploy/compose.yaml", "deploy/container"), ("deploy/cluster/compose.yaml", "deploy/cluster/container")])
    func `image, compose file and configuration agree on ports, user, secrets and time to drain`(file: String, files: String) async throws {
        let directory = try TemporaryDirectory()
        let compose = try await Self.run(
            Self.tools + "/docker-compose", ["--file", "\(Repository.path)/\(file)", "config", "--format", "json"],
            environment: ["HOME": directory.path, "PATH": "/usr/bin:/bin"])
        let resolved = try directory.write(compose.joined(separator: "\n"), to: "compose.json")
        let program = Repository.path + "/Tests/EndToEndTests/Deployment/containers.py"
        let keys = try await Self.writeKeys(to: directory)
        try await Self.run(Self.tools + "/python", ["-B", program, Repository.path, files + "/gateway.yaml", resolved, keys])
    }

    @Test(arguments: ["deploy/container", "deploy/cluster/container"])
    func `the gateway accepts the configuration of the compose file`(files: String) async throws {
        let directory = try TemporaryDirectory()
        let text = try String(contentsOfFile: "\(Repository.path)/\(files)/gateway.yaml", encoding: .utf8)
        try await Self.expectAccepted(
            text, in: directory, mounted: [("/run/secrets/tls-certificate", "/run/secrets/tls-key")],
            password: "/run/secrets/redis-password")
    }

    // MARK: Kubernetes

    @Test(arguments: ["deploy/kubernetes", "deploy/cluster/kubernetes"])
    func `the manifests pass the schemas, agree with each other, and contain a configuration that the gateway accepts`(
        files: String
    ) async throws {
        let directory = try TemporaryDirectory()
        let program = Repository.path + "/Tests/EndToEndTests/Deployment/kubernetes.py"
        let keys = try await Self.writeKeys(to: directory)
        try await Self.run(Self.tools + "/python", ["-B", program, "\(Repository.path)/\(files)", directory.path + "/out", keys])
        let text = try directory.read("out/gateway.yaml")
        try await Self.expectAccepted(
            text, in: directory, mounted: [("/etc/parley-tls/tls.crt", "/etc/parley-tls/tls.key")],
            password: "/etc/parley-secrets/redis-password")
    }

    /// Expects `parley config check` to accept a configuration in production, with a certificate and secrets in place of those that the
    /// container mounts.
    private static func expectAccepted(
        _ text: String, in directory: TemporaryDirectory, mounted: [(certificate: String, key: String)], password: String
    ) async throws {
        let pair = try await TestCertificatePair.shared.value
        var text = text.replacingOccurrences(of: "/var/lib/parley", with: directory.path)
        for (certificate, key) in mounted {
            text = text.replacingOccurrences(of: certificate, with: pair.certificate).replacingOccurrences(of: key, with: pair.key)
        }
        let isCluster = text.contains("\ncluster:\n")
        let secret = try directory.write(String(repeating: "0123456789abcdef", count: 4), to: "secret")
        text = text.replacingOccurrences(of: password, with: secret)
        try directory.write(text, to: "config/gateway.yaml")
        var environment = [
            "PARLEY_ENVIRONMENT": "production", "PARLEY_OPERATIONS_TOKEN_FILE": secret, "PARLEY_AUTH_SECRET_FILE": secret,
        ]
        if isCluster {
            environment["PARLEY_CLUSTER_SECRET_FILE"] = secret
            environment["PARLEY_CLUSTER_NODE"] = "parley-0"
            environment["PARLEY_CLUSTER_ADVERTISE"] = "10.0.0.5:9465"
        }
        let result = try await GatewayProcess.run(["config", "check"], directory: directory, environment: environment)
        #expect(result.status == 0, "\((result.lines + result.errorLines).joined(separator: "\n"))")
        // The test's certificate is valid for less than the 30 days for which the gateway doesn't warn. Decisions that the operator has to make
        // are left open.
        let unexpected = result.lines.filter { $0.hasPrefix("warning") && !$0.contains("expires") && !$0.contains("; example: ") }
        #expect(unexpected.isEmpty, "\(unexpected)")
    }
}
