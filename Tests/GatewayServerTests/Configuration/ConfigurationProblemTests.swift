// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import GatewayServer

@Suite("Problems of a configuration")
struct ConfigurationProblemTests {
    @Test func `all problems of all layers are reported at once`() throws {
        let directory = try ConfigurationDirectory([
            "gateway.yaml": "listen:\n  address: nowhere\nconections:\n  max: 5\nlimits: 7\n",
            "staging.yaml": "http:\n  allowed_origins: \"*\"\nsessions:\n  ttl: 5\n  ttl2: 1h\n",
        ])
        let problems = directory.problems(
            ["--environment", "staging", "--sessions.mx", "4", "stray"],
            ["PARLEY_HEARTBEAT_STALE_AFTER": "20s", "PARLEY_OPERATION_TOKEN": "hunter2", "PARLEY_STORE_KIND": "redis"])
        let found = problems.map { "\($0.key) <- \($0.source.replacing(directory.path + "/", with: ""))" }
        #expect(
            found == [
                "--sessions.mx <- --sessions.mx", "PARLEY_OPERATION_TOKEN <- PARLEY_OPERATION_TOKEN",
                "conections.max <- gateway.yaml:4", "limits <- gateway.yaml:5", "http.allowed_origins <- staging.yaml:2",
                "sessions.ttl2 <- staging.yaml:5", "listen.address <- gateway.yaml:2", "sessions.ttl <- staging.yaml:4",
                "tls.certificates <- default", "heartbeat.stale_after <- PARLEY_HEARTBEAT_STALE_AFTER", "store.urls <- default",
            ])
    }

    @Test func `an invalid value is a problem even if a later layer overrides it`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "sessions.max: many"])
        #expect(directory.problems(["--sessions.max", "5"]).map(\.value) == ["many"])
    }

    @Test(
        arguments: [
            ("conections:\n  max: 1", "conections.max", 2, "did you mean connections.max?"),
            ("connections:\n\n  maks: 1", "connections.maks", 3, "did you mean connections.max?"),
            ("limits.max_depth: 3", "limits.max_depth", 1, "did you mean messages.max_depth?"),
            ("auth:\n  mode: none\n  upstream_zebra: x", "auth.upstream_zebra", 3, nil),
            ("zebra: {}", "zebra", 1, nil),
            ("<<: {a: b}", "<<.a", 1, nil),
        ] as [(String, String, Int, String?)])
    func `an unknown key is rejected, with a hint if a known name is near`(yaml: String, key: String, line: Int, hint: String?) throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": yaml])
        let problems = directory.problems()
        #expect(problems.map(\.key) == [key])
        #expect(problems.map(\.source) == ["\(directory.path)/gateway.yaml:\(line)"])
        #expect(problems.map(\.hint) == [hint])
    }

    @Test func `an unknown variable is rejected with a hint, without its value`() throws {
        let problem = ConfigurationProblem(
            key: "PARLEY_OPERATIONS_TOKN", source: "PARLEY_OPERATIONS_TOKN", allowed: "known keys only; config/gateway.yaml lists them",
            hint: "did you mean PARLEY_OPERATIONS_TOKEN?")
        #expect(try configurationProblems([], ["PARLEY_OPERATIONS_TOKN": "hunter2"]) == [problem])
        #expect(try configurationProblems([], ["PARLEY_SESSIONS_MAX_FILE": "/x"]).map(\.key) == ["PARLEY_SESSIONS_MAX_FILE"])
        #expect(try configurationProblems([], ["PARLEY_ENVIROMENT": "staging"]).map(\.hint) == ["did you mean PARLEY_ENVIRONMENT?"])
    }

    @Test(
        arguments: [
            (["--conections.max", "5"], "--conections.max", "did you mean --connections.max?"),
            (["--connections-max=5"], "--connections-max", "did you mean --connections.max?"),
            (["--enviroment=staging"], "--enviroment", "did you mean --environment?"), (["--"], "--", nil), (["stray"], "stray", nil),
            (["--sessions.max=5", "stray"], "stray", nil), (["-v"], "-v", nil),
            (["--sessions.max"], "sessions.max", "the flag needs a value"),
            (["--sessions.max", "--sessions.ttl", "5s"], "sessions.max", "the flag needs a value"),
            (["--sessions.max", "5", "6"], "sessions.max", "the flag takes exactly one value"),
            (["--sessions.max=5", "--sessions.max=6"], "sessions.max", "the flag takes exactly one value"),
            (["--environment"], "environment", "the flag needs a value"),
            (["--http.allowed_origins"], "http.allowed_origins", "the flag needs a value"),
        ] as [([String], String, String?)])
    func `an invalid flag is rejected`(arguments: [String], key: String, hint: String?) throws {
        let problems = try configurationProblems(arguments)
        #expect(problems.map(\.key) == [key])
        #expect(problems.map(\.hint) == [hint])
    }

    @Test func `a secret is masked in every problem`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "operations:\n  token: hunter 2"])
        let error = ConfigurationError(
            problems: directory.problems(["--operations.token=hunter 3"], ["PARLEY_OPERATIONS_TOKEN": "hunter 4"]))
        #expect(error.problems.map(\.value) == ["********", "********", "********"])
        #expect(!error.description.contains("hunter"))
        let list = try ConfigurationDirectory(["gateway.yaml": "operations.token: [hunter, two]"])
        #expect(!ConfigurationError(problems: list.problems()).description.contains("hunter"))
    }

    @Test func `an unreadable file of a secret is the only problem reported`() throws {
        let directory = try ConfigurationDirectory(["empty": "", "large": String(repeating: "x", count: 65_537)])
        func hints(_ path: String, _ more: [String: String] = [:]) -> [String?] {
            // This address requires a token, but its absence is already explained.
            let variables = ["PARLEY_OPERATIONS_TOKEN_FILE": path, "PARLEY_OPERATIONS_ADDRESS": "0.0.0.0:1"]
            return directory.problems([], variables.merging(more) { $1 }).map { $0.hint ?? $0.allowed }
        }
        #expect(hints(directory.path + "/missing") == ["there is no such file"])
        #expect(hints(directory.path) == ["not a regular file"])
        #expect(hints(directory.path + "/large") == ["larger than 64KiB"])
        #expect(hints(directory.path + "/empty") == ["1 to 1024 visible ASCII characters"])
        #expect(hints("x", ["PARLEY_OPERATIONS_TOKEN": "y"]) == ["PARLEY_OPERATIONS_TOKEN_FILE or PARLEY_OPERATIONS_TOKEN, not both"])
    }

    @Test(
        arguments: [
            ("connections:\n  max: [1\n", 3), ("a: b: c\n", 1), ("connections:\n\tmax: 1\n", 2), ("x: *nothing\n", 1),
            ("a: 1\n---\nb: 2\n", 2),
            ("- 1\n- 2\n", 1), ("just words\n", 1),
        ])
    func `invalid YAML is rejected with its line`(yaml: String, line: Int) throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": yaml])
        let problems = directory.problems()
        #expect(problems.map(\.key) == ["\(directory.path)/gateway.yaml"])
        #expect(problems.map(\.source) == ["\(directory.path)/gateway.yaml:\(line)"])
    }

    @Test func `duplicate keys are rejected`() throws {
        let same = try ConfigurationDirectory(["gateway.yaml": "sessions:\n  max: 1\n  max: 2\n"])
        #expect(same.problems().map(\.allowed) == ["each key once"])
        #expect(same.problems().map(\.source) == ["\(same.path)/gateway.yaml:2"])
        let dotted = try ConfigurationDirectory(["gateway.yaml": "sessions:\n  max: 1\nsessions.max: 2\n"])
        #expect(dotted.problems().map(\.allowed) == ["each key once; it is also in line 2"])
        #expect(dotted.problems().map(\.source) == ["\(dotted.path)/gateway.yaml:3"])
    }

    @Test func `a file can't set the environment`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "environment: production\n"])
        #expect(directory.problems().map(\.key) == ["environment"])
    }

    @Test func `unreadable files and files that expand without bound are rejected`() throws {
        let large = try ConfigurationDirectory(["gateway.yaml": "#" + String(repeating: " ", count: 1_000_000)])
        #expect(large.problems().map(\.hint) == ["larger than 1MB"])
        let bytes = try ConfigurationDirectory()
        try Data([0x61, 0x3A, 0x20, 0xFF]).write(to: URL(fileURLWithPath: bytes.path + "/gateway.yaml"))
        #expect(bytes.problems().map(\.allowed) == ["a YAML file in UTF-8"])
        try bytes.write("a: \u{0}b", to: "gateway.yaml")
        #expect(bytes.problems().count == 1)
        let directory = try ConfigurationDirectory()
        try FileManager.default.createDirectory(atPath: directory.path + "/gateway.yaml", withIntermediateDirectories: false)
        #expect(directory.problems().map(\.hint) == ["not a regular file"])
        let laughs = (1..<30).map { "a\($0): &a\($0) {x: *a\($0 - 1), y: *a\($0 - 1)}" }
        let aliases = try ConfigurationDirectory(["gateway.yaml": (["a0: &a0 {x: 1}"] + laughs).joined(separator: "\n")])
        #expect(aliases.problems().contains { $0.allowed == "at most 1000 entries" })
        let deep = try ConfigurationDirectory(["gateway.yaml": String(repeating: "[", count: 200_000)])
        #expect(deep.problems().count == 1)
        #expect(deep.problems(["--config", bytes.path + "/elsewhere"]).map(\.key) == ["config"])
    }

    @Test func `the report lists key, source, allowed values and hint of each problem`() throws {
        let error = ConfigurationError(problems: try configurationProblems(["--sessions.mx=1"], ["PARLEY_SESSIONS_TTL": ""]))
        #expect(
            error.description == """
                The configuration has 2 problems:

                  --sessions.mx
                      in:      --sessions.mx
                      allowed: known keys only; config/gateway.yaml lists them
                      hint:    did you mean --sessions.max?

                  sessions.ttl = ""
                      in:      PARLEY_SESSIONS_TTL
                      allowed: a duration from 100ms to 3650d, such as 500ms, 30s, 5m or 24h, or 0 for no limit
                """)
    }
}
