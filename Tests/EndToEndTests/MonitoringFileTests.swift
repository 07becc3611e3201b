// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The files of `deploy/monitoring` and `deploy/logging`: valid for the programs that read them, and consistent with the gateway.
@Suite("The files for monitoring and logging", .bounded) struct MonitoringFileTests {
    private static let monitoring = Repository.path + "/deploy/monitoring"
    private static let logging = Repository.path + "/deploy/logging"
    private static let scripts = Repository.path + "/Tests/EndToEndTests/Deployment"

    /// Runs a program, and records what it prints as an issue if it fails.
    @discardableResult
    private static func run(_ program: String, _ arguments: [String], in directory: String) async throws -> [String] {
        let result = try await ChildProcess.run(program, arguments, directory: directory, timeout: .seconds(60))
        #expect(result.status == 0, "\((result.lines + result.errorLines).joined(separator: "\n"))")
        return result.errorLines
    }

    // MARK: Prometheus

    @Test func `promtool accepts the rules, the alerts, and the configuration of Prometheus`() async throws {
        let directory = try TemporaryDirectory()
        let promtool = try PrometheusTools.path("promtool")
        for name in ["parley-rules.yml", "parley-alerts.yml", "prometheus.yml"] {
            let text = try String(contentsOfFile: "\(Self.monitoring)/\(name)", encoding: .utf8)
            try directory.write(text.replacing("/etc/prometheus/parley-token", with: directory.path + "/token"), to: name)
        }
        try directory.write("token\n", to: "token")
        try await Self.run(promtool, ["check", "rules", "--lint-fatal", "parley-rules.yml", "parley-alerts.yml"], in: directory.path)
        // This also checks the rules that the configuration names.
        try await Self.run(promtool, ["check", "config", "prometheus.yml"], in: directory.path)
    }

    @Test func `each alert fires above its threshold, and stays quiet just below`() async throws {
        try await Self.run(try PrometheusTools.path("promtool"), ["test", "rules", "alerts.test.yml"], in: Self.scripts)
        let alerts = try String(contentsOfFile: Self.monitoring + "/parley-alerts.yml", encoding: .utf8)
            .split(separator: "\n").compactMap { $0.wholeMatch(of: /\s+- alert: (\w+)/)?.1 }
        let tests = try String(contentsOfFile: Self.scripts + "/alerts.test.yml", encoding: .utf8)
        for alert in alerts {
            #expect(tests.contains("  # \(alert) fires\n") && tests.contains("  # \(alert) stays quiet\n"), "\(alert) has no test")
        }
        #expect(alerts.count > 20)
    }

    @Test func `the dashboard is what its script writes`() async throws {
        try await Self.run(try Python.path(), ["-B", Self.monitoring + "/dashboard.py", "--check"], in: Repository.path)
    }

    // MARK: Logs

    @Test func `the files for journald, Vector, Promtail and Fluent Bit parse the lines that a gateway writes`() async throws {
        let gateway = try await GatewayProcess(["logging.level": "debug"])
        try await gateway.stop()
        try gateway.directory.write(gateway.process.lines.joined(separator: "\n") + "\n", to: "lines")
        try await Self.run(
            Repository.path + "/.build/deployment-venv/bin/python",
            ["-B", Self.scripts + "/logging_files.py", Self.logging, gateway.directory.path + "/lines"], in: Repository.path)
    }

    @Test func `the drop-in for the journal is valid in the shipped unit`() async throws {
        let directory = try TemporaryDirectory()
        let units = Repository.path + "/deploy/systemd"
        let unit = try String(contentsOfFile: units + "/parley.service", encoding: .utf8)
        try directory.write(unit.replacing("/usr/local/bin/parley", with: try GatewayProcess.executable()), to: "parley.service")
        try directory.write(try String(contentsOfFile: units + "/parley.socket", encoding: .utf8), to: "parley.socket")
        try directory.write(
            try String(contentsOfFile: Self.logging + "/journald-unit.conf", encoding: .utf8), to: "parley.service.d/logging.conf")
        // An unknown setting is only a warning.
        let output = try await Self.run("/usr/bin/systemd-analyze", ["verify", "--man=no", "./parley.service"], in: directory.path)
        #expect(output.isEmpty, "\(output)")
    }
}
