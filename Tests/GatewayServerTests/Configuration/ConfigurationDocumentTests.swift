// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import Testing

@testable import GatewayServer

@Suite struct ConfigurationDocumentTests {
    private static func document(_ arguments: [String]) throws -> ConfigurationDocument {
        try ConfigurationDocument(json: Array(loadConfiguration(arguments).json.utf8))
    }

    @Test func `equal configurations have no differences, whatever their sources`() throws {
        let running = try Self.document(["--sessions.max=1000"])
        #expect(running.differences(to: try Self.document([])) == [])
    }

    @Test func `differences have both values, the source of the local one, and whether a reload is enough`() throws {
        let running = try Self.document(["--sessions.max=5", "--http.allowed_origins=https://a.example,https://b.example"])
        let local = try Self.document(["--limits.text_per_minute=7", "--upstreams.chat.kind=loopback"])
        #expect(
            running.differences(to: local).map(\.description).filter { !$0.contains("upstreams.chat") } == [
                "http.allowed_origins: [https://a.example, https://b.example] -> [*] (default)  [reload]",
                "limits.text_per_minute: 600 -> 7 (--limits.text_per_minute)  [reload]",
                "sessions.max: 5 -> 1000 (default)  [restart]",
            ])
        // All keys of a block that only one of them has.
        #expect(
            running.differences(to: local).contains {
                $0.key == "upstreams.chat.kind" && $0.running == "(none)" && $0.local == "loopback" && $0.isReloadable
            })
    }

    @Test func `another environment is a difference that requires a restart`() throws {
        let running = try Self.document([])
        let local = try Self.document(["--environment=staging", "--tls.certificates=a:b"])
        let first = try #require(running.differences(to: local).first)
        #expect(first.key == "environment" && first.running == "development" && first.local == "staging" && !first.isReloadable)
    }

    @Test func `secrets are masked, in lists too`() throws {
        let secret = String(repeating: "s3cret", count: 8)
        let json = try loadConfiguration(["--auth.secret=\(secret)", "--operations.token=\(secret)"]).json
        #expect(!json.contains("s3cret"))
        #expect(json.contains("********"))
    }

    @Test func `after a reload, keys that require a restart keep their old value and source`() async throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "sessions.max: 50\nlimits.text_per_minute: 4\n"])
        let path = directory.path
        let service = ConfigurationService(
            loaded: try directory.load(), target: .init(certificates: { _ in }, apply: { _ in }),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            load: { () throws(ConfigurationError) in try ConfigurationLoader.load(arguments: [], environment: [:], directory: path) })
        try directory.write("\nsessions.max: 60\nlimits.text_per_minute: 8\n", to: "gateway.yaml")
        let report = await service.reload(because: "test")
        #expect(report.changed == ["limits.text_per_minute"] && report.needsRestart == ["sessions.max"])
        let document = try ConfigurationDocument(json: try service.json())
        #expect(document.keys["sessions.max"]?.value == "50")
        #expect(document.keys["sessions.max"]?.source == "\(directory.path)/gateway.yaml:1")
        #expect(document.keys["limits.text_per_minute"]?.value == "8")
        #expect(document.keys["limits.text_per_minute"]?.source == "\(directory.path)/gateway.yaml:3")
    }
}
