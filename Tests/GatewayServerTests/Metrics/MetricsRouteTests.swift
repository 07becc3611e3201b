// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

@testable import GatewayServer

/// `GET /metrics` on the operations listener.
@Suite struct MetricsRouteTests {
    private static let feature = OperationsFeature.metrics { GatewayReading.sample }

    @Test func `the format follows Accept`() async throws {
        try await OperationsHarness.run(features: [Self.feature]) { harness in
            let plain = try await harness.send("GET /metrics")
            #expect(plain.status == 200)
            #expect(plain.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            #expect(plain.fields["vary"] == "Accept" && plain.fields["cache-control"] == "no-store")
            #expect(plain.body.contains("\n# TYPE parley_messages_total counter\n") && !plain.body.contains("# EOF"))
            let open = try await harness.send("GET /metrics", ["Accept: application/openmetrics-text; version=1.0.0"])
            #expect(open.fields["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
            #expect(open.body.hasSuffix("\n# EOF\n") && open.body.contains(" # {correlation_id="))
        }
    }

    @Test func `HEAD has no body, other methods are rejected, and a token is required`() async throws {
        try await OperationsHarness.run(token: "open-sesame", features: [Self.feature]) { harness in
            #expect(try await harness.send("GET /metrics").status == 401)
            let head = try await harness.send("HEAD /metrics", ["Authorization: Bearer open-sesame"])
            #expect(head.status == 200 && head.body.isEmpty)
            let post = try await harness.send("POST /metrics", ["Authorization: Bearer open-sesame"])
            #expect(post.status == 405 && post.fields["allow"] == "GET, HEAD")
        }
    }

    @Test func `the right to read is required`() async throws {
        try await OperationsHarness.run(token: "x", features: [Self.feature]) { harness in
            let tokens = [
                OperationsToken("aaaa", identity: OperationsIdentity(name: "reader", rights: [.read])),
                OperationsToken("bbbb", identity: OperationsIdentity(name: "pusher", rights: [.push])),
            ]
            harness.token.set(tokens)
            let allowed = try await harness.send("GET /metrics", ["Authorization: Bearer aaaa"])
            let forbidden = try await harness.send("GET /metrics", ["Authorization: Bearer bbbb"])
            #expect(allowed.status == 200 && forbidden.status == 403)
        }
    }
}
