// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The browser client and the demo page, served by the real executable.
@Suite(.bounded) struct PublicAssetTests {
    private func response(
        _ gateway: GatewayProcess, _ path: String, method: String = "GET", _ fields: [(String, String)] = []
    ) async throws -> HTTPResponseText {
        var request = HTTPRequestText(path, method: method)
        request.fields += fields
        return try await gateway.response(to: request)
    }

    private func text(_ file: String) throws -> String {
        try String(contentsOfFile: "\(Repository.path)/Sources/ParleyJS/\(file)", encoding: .utf8)
    }

    @Test(arguments: [("/v1/client.js", "parley.js"), ("/v1/client-audio.js", "parley-audio.js")])
    func `the browser client is served as it is in the repository, with an ETag that is answered with 304`(
        _ path: String, _ file: String
    ) async throws {
        let gateway = try await SharedGateways.withoutLimits(["demo.enabled": "false"])
        let first = try await response(gateway, path)
        #expect(first.status == 200 && first["content-type"] == "text/javascript; charset=utf-8")
        #expect(first.body == (try text(file)))
        let tag = try #require(first["etag"])
        for known in [tag, "W/\(tag)", "\"other\", \(tag)", "*"] {
            let again = try await response(gateway, path, [("If-None-Match", known)])
            #expect(again.status == 304 && again.body.isEmpty && again["etag"] == tag && again["content-length"] == nil, "\(known)")
        }
        #expect(try await response(gateway, path, [("If-None-Match", "\"other\"")]).status == 200)
        let head = try await response(gateway, path, method: "HEAD")
        #expect(head.status == 200 && head.body.isEmpty && head["content-length"] == "\(first.body.utf8.count)")
        let post = try await response(gateway, path, method: "POST")
        #expect(post.status == 405 && post["allow"] == "GET, HEAD, OPTIONS")
    }

    @Test func `the module has less than 40 KB`() throws {
        #expect(try text("parley.js").utf8.count < 40_000)
    }

    @Test func `development serves the demo page under a strict policy, with its style and script`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["environment": "development"])
        let page = try await response(gateway, "/")
        #expect(page.status == 200 && page["content-type"] == "text/html; charset=utf-8")
        let policy = page["content-security-policy"] ?? ""
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
            #expect(policy.contains(part))
        }
        #expect(page["permissions-policy"] == "microphone=(self)")
        for path in ["/demo.css", "/demo.js"] {
            #expect(page.body.contains(path))
            #expect(try await response(gateway, path).status == 200)
        }
        // Nothing is inline, and nothing comes from another origin.
        for unwanted in ["src=\"http", "href=\"http", "src=\"//", " style=", "onclick", "<style", "javascript:"] {
            #expect(!page.body.contains(unwanted), "\(unwanted)")
        }
    }

    @Test func `without demo.enabled there is no demo page, and production rejects it`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["demo.enabled": "false"])
        for path in ["/", "/demo.js", "/demo.css"] { #expect(try await response(gateway, path).status == 404) }
        let enabled = try await SharedGateways.withoutLimits(["demo.enabled": "true"])
        #expect(try await response(enabled, "/").status == 200)
        let check = try await GatewayProcess.run(
            ["config", "check", "--environment", "production", "--demo.enabled", "true"], directory: TemporaryDirectory())
        #expect(check.status == 78 && (check.lines + check.errorLines).contains { $0.contains("demo.enabled") })
    }
}
