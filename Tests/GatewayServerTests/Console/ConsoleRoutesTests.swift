// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import Testing

@Suite struct ConsoleRoutesTests {
    @Test func `the files need no token, and have a strict policy and their type`() async throws {
        try await OperationsHarness.run(token: "secret", requiresToken: true, features: [.console]) { harness in
            for (path, type) in [("/", "text/html"), ("/console.css", "text/css"), ("/console.js", "text/javascript")] {
                let reply = try await harness.send("GET \(path)")
                #expect(reply.status == 200 && reply.fields["content-type"] == "\(type); charset=utf-8", "\(path)")
                let policy = reply.fields["content-security-policy"] ?? ""
                for directive in [
                    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'",
                    "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
                ] {
                    #expect(policy.contains(directive), "\(path): \(policy)")
                }
                #expect(!policy.contains("unsafe") && reply.fields["x-content-type-options"] == "nosniff")
                #expect(reply.fields["referrer-policy"] == "no-referrer" && reply.fields["cache-control"] == "no-cache")
                #expect(try await harness.send("POST \(path)", ["Authorization: Bearer secret"]).status == 405)
            }
            #expect(try await harness.send("GET /v1/gateway").status == 401)
        }
    }

    @Test func `a known entity tag is answered with 304`() async throws {
        try await OperationsHarness.run(features: [.console]) { harness in
            let tag = try #require(try await harness.send("GET /console.js").fields["etag"])
            for known in [tag, "\"other\", \(tag)", "W/\(tag)", "*"] {
                let reply = try await harness.send("GET /console.js", ["If-None-Match: \(known)"])
                #expect(reply.status == 304 && reply.body.isEmpty && reply.fields["etag"] == tag, "\(known)")
            }
            let changed = try await harness.send("GET /console.js", ["If-None-Match: \"other\""])
            #expect(changed.status == 200 && !changed.body.isEmpty)
            #expect(try await harness.send("GET /console.css").fields["etag"] != tag)
        }
    }

    @Test func `the page loads only files of the listener, and has no inline script or style`() async throws {
        try await OperationsHarness.run(features: [.console]) { harness in
            let page = try await harness.send("GET /").body
            #expect(page.contains(#"<script type="module" src="/console.js"></script>"#) && page.contains(#"href="/console.css""#))
            #expect(page.components(separatedBy: "<script").count == 2 && !page.contains("<style") && !page.contains("style="))
            for path in ["/", "/console.css", "/console.js"] {
                let body = try await harness.send("GET \(path)").body
                // The name of the namespace of SVG is no address that is loaded.
                let addresses = body.replacing("http://www.w3.org/2000/svg", with: "")
                #expect(!addresses.contains("http://") && !addresses.contains("https://"), "\(path)")
                for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", "sessionStorage"] {
                    #expect(!body.contains(sink), "\(path): \(sink)")
                }
            }
        }
    }

    @Test func `a foreign host and a foreign origin are rejected`() async throws {
        try await OperationsHarness.run(features: [.console]) { harness in
            let foreign = try await harness.send("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nX: y", raw: true)
            #expect(foreign.status == 403 || foreign.status == 400)
            #expect(try await harness.send("GET /", ["Origin: http://evil.example"]).status == 403)
        }
    }
}
