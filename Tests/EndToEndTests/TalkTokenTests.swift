// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The token that `parley talk` presents to a scripted gateway.
@Suite(.bounded) struct TalkTokenTests {
    private static let gateway = (#filePath as NSString).deletingLastPathComponent + "/Clients/scripted_gateway.py"
    private static let warning = "warning: other users of this machine can read the token; use --token-file FILE or --token -"

    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try directory.write("file.token\nsecond line\n", to: "token")
    }

    /// Returns the `Authorization` fields of all connections, and the lines that `parley talk` printed on standard error.
    private func present(_ options: String, input: String = "") async throws -> (fields: [JSON], errorLines: [String], status: Int32) {
        let gateway = try ChildProcess(try Python.path(), [Self.gateway, "unacknowledged"], directory: directory.path)
        let port = try #require(await gateway.output.wait(timeout: .seconds(20)) { $0.lines.first })
        // The variables are those of a gateway, not of a client.
        let command = "printf '%s' '\(input)' | '\(try GatewayProcess.executable())' talk ws://127.0.0.1:\(port) \(options)"
        let talk = try await ChildProcess.run(
            "/bin/sh", ["-c", command], directory: directory.path, environment: ["PARLEY_TOKEN": "x", "PARLEY_AUTH_SECRET": "x"])
        gateway.signal(SIGKILL)
        _ = try await gateway.exit()
        let openings = try gateway.lines.dropFirst().map { try JSON($0) }.filter { $0["target"] != .null }
        return (openings.map { $0["authorization"] }, talk.errorLines, talk.status)
    }

    @Test(arguments: ["--token-file token", "--token @token", "--token - <token", "--token-file - <token"])
    func `the first line of a file is presented on each connection`(options: String) async throws {
        let result = try await present("--text hello " + options)
        #expect(result.fields == ["Bearer file.token", "Bearer file.token", "Bearer file.token"], "\(result)")
        #expect(result.status == 0 && !result.errorLines.contains(Self.warning))
    }

    @Test func `lines of standard input after the token are texts`() async throws {
        let result = try await present("--token -", input: "piped.token\r\nhello\n")
        #expect(result.fields.allSatisfy { $0 == "Bearer piped.token" } && result.fields.count == 3, "\(result)")
        #expect(result.status == 0)
    }

    @Test func `a token among the arguments is presented with a warning`() async throws {
        let result = try await present("--text hello --token a.b.c")
        #expect(result.fields.first == "Bearer a.b.c")
        #expect(result.errorLines.contains(Self.warning))
    }

    @Test func `without a token none is presented, whatever the environment`() async throws {
        #expect(try await present("--text hello").fields.first == .null)
    }

    @Test(
        arguments: [
            ("--token ''", "the token is empty"), ("--token 'a b'", "printable ASCII"), ("--token @no-such-file", "No such file"),
            ("--token-file no-such-file", "No such file"), ("--token a --token-file token", "can't be combined"),
            ("--token-file /dev/null", "the token is empty"),
        ])
    func `a token that can't be presented is an error that doesn't contain it`(options: String, text: String) async throws {
        let result = try await ChildProcess.run(
            "/bin/sh", ["-c", "'\(try GatewayProcess.executable())' talk ws://127.0.0.1:1 \(options)"], directory: directory.path)
        #expect(result.status == 2 && result.errorLines.contains { $0.contains(text) }, "\(result)")
        #expect(!result.errorLines.contains { $0.contains("a b") })
    }

    @Test func `a token of 8192 bytes is presented, a longer one is rejected`() async throws {
        for (size, status) in [(8192, Int32(3)), (8193, 2)] {
            try directory.write(String(repeating: "t", count: size), to: "long")
            let result = try await ChildProcess.run(
                try GatewayProcess.executable(), ["talk", "ws://127.0.0.1:1", "--token-file", "long"], directory: directory.path)
            #expect(result.status == status, "\(size): \(result)")
        }
    }
}
