// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The console in a browser, at the widths of a phone and a desktop.
@Suite(.bounded) struct ConsoleTests {
    private static let markup = #"<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"#

    @Test func `an operator logs in, sorts, reads the waterfall and acts, and hostile text stays text`() async throws {
        let browser = "/usr/bin/chromium"
        guard FileManager.default.isExecutableFile(atPath: browser) else {
            throw TestFailure("there is no \(browser): run deploy/test.sh, which installs it")
        }
        let token = "console-test-token"
        let assistant = try await LiveViewTests.Assistant(["operations.token": token])
        let gateway = assistant.gateway
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        try await assistant.say(client, id: "ear", to: "ear")
        try await client.send(["type": "text", "id": "m1", "text": .string(Self.markup), "meta": ["to": "fast"]])
        _ = try await client.collectResponse(to: "m1")
        try await client.send(Self.markup)
        _ = try await client.error("invalid_json")
        // Another session without errors, to sort.
        let other = try await gateway.client()
        try await annotate(gateway, id, token: token)

        let directory = try TemporaryDirectory()
        var arguments = [
            "-B", Repository.path + "/Tests/EndToEndTests/Clients/console.py", browser, directory.path,
            "http://127.0.0.1:\(gateway.operationsPort)/", token, id,
        ]
        if let screenshots = ProcessInfo.processInfo.environment["PARLEY_SCREENSHOTS"] { arguments.append(screenshots) }
        let result = try await ChildProcess.run(
            try Python.path(), arguments, directory: directory.path, environment: ["HOME": directory.path], timeout: .seconds(150))
        let isPassed = result.status == 0 && result.lines.last == "PASS"
        try #require(isPassed, "\(result.lines.suffix(5)) \(result.errorLines.suffix(20))")
        try await client.expectClose(4507)
        try await other.expectServed()
        try await gateway.stop()
    }

    /// Gives a session a title and notes with markup.
    private func annotate(_ gateway: GatewayProcess, _ id: String, token: String) async throws {
        let patch = JSON.object(["title": .string(Self.markup), "notes": .string(Self.markup)]).text
        var request = HTTPRequestText("/v1/sessions/\(id)", method: "PATCH")
        request.fields += [("Authorization", "Bearer \(token)"), ("Content-Length", "\(patch.utf8.count)")]
        request.body = patch
        let response = try await gateway.operationsResponse(to: request)
        guard response.status == 200 else { throw TestFailure("\(response.status) \(response.body)") }
    }
}
