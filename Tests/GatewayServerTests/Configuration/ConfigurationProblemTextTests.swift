// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayServer

@Suite("Texts of configuration problems")
struct ConfigurationProblemTextTests {
    // MARK: YAML

    @Test(
        arguments: [
            ("connections:\n\tmax: 1\n", 2, "a tab at the beginning of the line"),
            ("connections:\n  max: 1\n \t per_user: 1\n", 3, "a tab at the beginning of the line"),
            ("listen:\n  loops: 1\nconnections:\n    max: 1\n  per_user: 1\n", 5, "indented differently from line 4"),
            ("connections:\n  max: 1\n   per_user: 1\n", 3, "indented differently from line 2"),
            ("connections:\n  max: 1\n\n  # a word\n\n per_user: 1\n", 6, "indented differently from line 2"),
            ("upstreams:\n  chat:\n    kind: openai\n   model: x\n", 4, "indented differently from line 3"),
            (" listen:\n  loops: 1\nhttp:\n  max_headers: 1\n", 3, "indented differently from line 1"),
            ("http:\n  allowed_origins: [a, b\nlisten:\n  loops: 1\n", 3, "the [ in line 2 isn't closed with ]"),
            ("http:\n  allowed_origins: \"a\nlisten:\n  loops: 1\n", 5, "the \" in line 2 isn't closed"),
            ("listen:\n  address: a: b\n", 2, "needs quotes"), ("x: *nothing\n", 1, "needs quotes"), ("a: @b\n", 1, "needs quotes"),
            ("listen:\n  loops 1\n", 1, "a group of keys"),
        ])
    func `a YAML syntax error is explained, with its line`(yaml: String, line: Int, words: String) throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": yaml])
        let problem = try #require(directory.problems().first)
        #expect((problem.hint ?? problem.allowed).contains(words), "\(problem)")
        #expect(problem.source == "\(directory.path)/gateway.yaml:\(line)")
    }

    // MARK: Names of blocks

    @Test(
        arguments: [
            ("my-model", "my_model is allowed"), ("Chat", "chat is allowed"), ("gpt-4.1", "gpt_4_1 is allowed"),
            ("llama3.1", "llama3_1 is allowed"),
            ("2nd", "nd is allowed"), ("", nil), ("模型", nil),
            (String(repeating: "a", count: 33), String(repeating: "a", count: 32) + " is allowed"),
        ] as [(String, String?)])
    func `an invalid block name is reported once per block`(name: String, hint: String?) throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "upstreams:\n  \"\(name)\":\n    kind: openai\n    model: x\n"])
        #expect(
            directory.problems() == [
                ConfigurationProblem(
                    key: "upstreams.\(name)", source: "\(directory.path)/gateway.yaml:2",
                    allowed: "below upstreams: a name of 1 to 32 characters of a-z, 0-9 and _, beginning with a letter", hint: hint)
            ])
    }

    @Test func `invalid block names are reported for flags, dotted keys and routes, too`() throws {
        for problem in try configurationProblems(["--upstreams.my-model.kind=openai", "--routes.my-route.type=text"]) {
            #expect(problem.allowed.contains("1 to 32 characters"))
        }
        let directory = try ConfigurationDirectory([
            "gateway.yaml": "upstreams.my-model.kind: openai\nroutes:\n  a:\n    upstreams: [my-model]\n  my-route:\n"
        ])
        let problems = directory.problems()
        #expect(problems.map(\.key) == ["upstreams.my-model.kind", "routes.my-route", "routes.a.upstreams"])
        #expect(problems.allSatisfy { $0.allowed.contains("1 to 32 characters") })
    }

    @Test(arguments: [String(repeating: "a", count: 32), "a", "a_1", "my_model"]) func `valid block names are accepted`(name: String)
        throws
    {
        let directory = try ConfigurationDirectory(["gateway.yaml": "upstreams:\n  \(name):\n    kind: loopback\n"])
        #expect(directory.problems() == [])
    }

    // MARK: Credentials

    @Test(
        arguments: [
            ("http://user:hunter2@host/v1", "http://********@host/v1"), ("https://hunter2@host", "https://********@host"),
            ("wss://u:hun/ter2@x@host", "wss://********@host"), ("user:hunter2@host", "********@host"),
            ("--x=http://u:hunter2@h", "--x=http://********@h"), ("--x=u:hunter2@h", "--x=********@h"),
            ("[http://a, http://u:hunter2@b]", "[http://a, http://********@b]"),
            ("http://h/v1?api-version=1&api_key=hunter2#", "http://h/v1?api-version=1&api_key=********"),
            ("http://h?Token=hunter2&x", "http://h?Token=********&x"), ("a@b.example", "a@b.example"), ("what?", "what?"), ("", ""),
        ])
    func `credentials of URLs are masked`(text: String, masked: String) {
        #expect(URLCredentials.masked(text) == masked)
    }

    @Test func `no report contains the credentials of a URL`() throws {
        let directory = try ConfigurationDirectory([
            "gateway.yaml": "upstreams:\n  a:\n    kind: openai\n    urls: [\"http://u:hunter2@h/v1\"]\n    url: http://u:hunter2@h\n"
        ])
        let error = ConfigurationError(
            problems: directory.problems(
                ["--upstreams.b.urls=http://u:hunter2@h", "http://u:hunter2@h", "--http.allowed_origins=http://u:hunter2@h"],
                ["PARLEY_UPSTREAMS_C_URLS": "u:hunter2@h", "PARLEY_LISTEN_ADDRESS": "u:hunter2@h:1"]))
        #expect(error.problems.count >= 6)
        #expect(!"\(error)".contains("hunter2"))
        let loaded = try loadConfiguration(["--upstreams.a.kind=http", "--upstreams.a.urls=http://h?key=hunter2&api-version=1"])
        #expect(!loaded.listing.contains("hunter2"))
        #expect(loaded.listing.contains("api-version=1"))
        #expect(try !loaded.json.contains("hunter2"))
    }

    // MARK: Upstreams and routes

    private static let chat = "upstreams:\n  chat:\n    kind: openai\n    model: m\n    urls: [http://127.0.0.1:1/v1]\n"

    @Test func `a missing key of a block is reported with the line of the block`() throws {
        let directory = try ConfigurationDirectory([
            "gateway.yaml":
                "listen:\n  loops: 1\nupstreams:\n  chat:\n    kind: openai\n  run:\n    kind: process\nroutes:\n  all:\n    type: any\n"
        ])
        let file = directory.path + "/gateway.yaml"
        let problems = directory.problems()
        #expect(problems.map(\.key) == ["upstreams.chat.urls", "upstreams.run.command", "routes.all.upstreams"])
        #expect(problems.map(\.source) == [file + ":4", file + ":6", file + ":9"])
        #expect(try configurationProblems(["--upstreams.chat.kind=openai"]).map(\.source) == ["--upstreams.chat.kind"])
        let misspelled = try ConfigurationDirectory(["gateway.yaml": "upstreams:\n  chat:\n    kind: openai\n    url: http://h/v1\n"])
        #expect(misspelled.problems().first?.hint == "did you mean upstreams.chat.urls?")
    }

    @Test(
        arguments: [
            ("", ["upstreams.chat", "no route uses the upstream; without any route"]),
            ("routes:\n  all:\n    upstreams: [chat]\n", []),
            ("routes:\n  a:\n    upstreams: [chat]\n  b:\n    upstreams: [chat]\n", ["routes.b", "never used: a matches all"]),
            ("routes:\n  a:\n    path: /a\n    upstreams: [chat]\n  b:\n    upstreams: [chat]\n", []),
            ("routes:\n  a:\n    meta: [x=1]\n    upstreams: [chat]\n  b:\n    meta: [x=2]\n    upstreams: [chat]\n", []),
            (
                "routes:\n  a:\n    meta: [x=1]\n    upstreams: [chat]\n  b:\n    meta: [x=1]\n    upstreams: [chat]\n",
                ["routes.b", "never used: a matches all"]
            ),
            (
                "routes:\n  a:\n    meta: [x=1, x=2]\n    upstreams: [chat]\n  b:\n    upstreams: [chat]\n",
                ["routes.a", "meta requires two values of x"]
            ),
        ] as [(String, [String])])
    func `unused upstreams and unreachable routes are warnings`(routes: String, words: [String]) throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": Self.chat + routes])
        let warnings = try directory.load().warnings
        #expect(warnings.count == (words.isEmpty ? 0 : 1), "\(warnings)")
        for word in words { #expect(warnings.first?.contains(word) == true, "\(warnings)") }
        #expect(warnings.allSatisfy { $0.contains("gateway.yaml:") })
    }

    @Test func `a missing model and a missing kind are warnings`() throws {
        let warnings = try loadConfiguration([
            "--upstreams.a.kind=openai", "--upstreams.a.urls=http://127.0.0.1:1/v1", "--upstreams.b.urls=http://127.0.0.1:1/v1",
            "--routes.a.upstreams=a", "--routes.a.path=/a", "--routes.b.upstreams=b",
        ]).warnings
        #expect(warnings.count == 2)
        #expect(warnings.first?.contains("no model") == true)
        #expect(warnings.last?.contains("the kind is loopback") == true)
    }
}
