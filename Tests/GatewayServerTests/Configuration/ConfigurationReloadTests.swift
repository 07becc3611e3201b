// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import GatewayServer

@Suite("Changes of the configuration")
struct ConfigurationReloadTests {
    @Test func `reloadable changes are applied, other changes are not`() throws {
        let running = try loadConfiguration().configuration
        let read = try loadConfiguration([
            "--limits.text_per_minute=7", "--listen.address=0.0.0.0:1", "--operations.token=new", "--websocket.compression=off",
        ])
        .configuration
        let diff = ConfigurationDiff(from: running, to: read)
        #expect(diff.reloadable.map(\.description) == ["limits.text_per_minute: 600 -> 7", "operations.token: (none) -> ********"])
        #expect(diff.needsRestart.map(\.key) == ["listen.address", "websocket.compression"])
        var expected = running
        expected.limits.textPerMinute = 7
        expected.operations.token = "new"
        #expect(diff.applied == expected)
        #expect(ConfigurationDiff(from: diff.applied, to: read).reloadable == [])
    }

    @Test func `a new secret is a change, although both are masked`() throws {
        let running = try loadConfiguration(["--operations.token=old"]).configuration
        let diff = ConfigurationDiff(from: running, to: try loadConfiguration(["--operations.token=new"]).configuration)
        #expect(diff.reloadable == [.init(key: "operations.token", old: "********", new: "********")])
    }

    @Test func `equal configurations have an empty diff`() throws {
        let diff = ConfigurationDiff(from: try loadConfiguration().configuration, to: try loadConfiguration().configuration)
        #expect(diff.isEmpty)
        #expect(diff.applied == .defaults(for: .development))
    }

    @Test func `another environment needs a restart`() throws {
        let diff = ConfigurationDiff(from: .defaults(for: .staging), to: .defaults(for: .production))
        #expect(diff.needsRestart.map(\.key) == ["environment", "heartbeat.stale_after"])
        // Reloadable keys change without a restart.
        var expected = GatewayConfiguration.defaults(for: .staging)
        expected.reports.content = .metadata
        #expect(diff.applied == expected)
    }

    @Test func `the watched files are those of the configuration, secrets and certificates`() throws {
        let directory = try ConfigurationDirectory()
        let loaded = try directory.load(["--tls.certificates=a.pem:a.key,b.pem:b.key", "--tls.client_ca=ca.pem"])
        #expect(
            loaded.watchedFiles == [
                "\(directory.path)/gateway.yaml", "\(directory.path)/development.yaml", "a.pem", "a.key", "b.pem", "b.key", "ca.pem",
            ])
    }

    @Test func `a file that changes, appears or becomes unreadable changes the fingerprint`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "sessions.max: 1"])
        let loaded = try directory.load()
        func now() -> ConfigurationFingerprint { ConfigurationFingerprint(of: loaded.watchedFiles) }
        #expect(now() == loaded.fingerprint)
        try directory.write("sessions.max: 12", to: "gateway.yaml")
        let rewritten = now()
        #expect(rewritten != loaded.fingerprint)
        try directory.write("", to: "development.yaml")
        #expect(now() != rewritten)
        // A change of the permissions changes the fingerprint, too.
        let readable = now()
        try FileManager.default.setAttributes([.posixPermissions: 0o000], ofItemAtPath: "\(directory.path)/gateway.yaml")
        #expect(now() != readable)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: "\(directory.path)/gateway.yaml")
        let other = try ConfigurationDirectory()
        #expect(ConfigurationFingerprint(of: [other.path + "/x"]) == ConfigurationFingerprint(of: [other.path + "/x"]))
        #expect(ConfigurationFingerprint(of: [other.path + "/x"]) != ConfigurationFingerprint(of: [other.path + "/y"]))
    }
}
