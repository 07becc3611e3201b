// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct HealthTests {
    private func text(_ response: HealthResponse) -> String { String(decoding: response.body, as: UTF8.self) }

    private func allReady() -> HealthRegistry {
        let registry = HealthRegistry()
        for part in HealthPart.allCases { registry.set(part, .ready) }
        return registry
    }

    @Test func `every part is initially not ready, and all must be ready`() {
        let registry = HealthRegistry()
        for part in HealthPart.allCases {
            #expect(!registry.report.isReady)
            #expect(registry.report.parts.contains { $0.part == part && $0.state == .notReady("starting") })
            registry.set(part, .ready)
        }
        #expect(registry.report.isReady)
        registry.set(.accepting, .notReady("draining"))
        #expect(!registry.report.isReady)
        registry.set(.accepting, .ready)
        #expect(registry.report.isReady)
    }

    @Test func `a part is ready if it is degraded, whether by its state or by a condition`() {
        let registry = allReady()
        registry.set(.descriptors, .degraded("too few"))
        registry.watch(.configuration) { "rejected" }
        #expect(registry.report.isReady && registry.report.isDegraded)
        #expect(registry.report.parts.compactMap(\.reason) == ["rejected", "too few"])
        #expect(HealthResponse.ready(registry.report, details: false).status == 200)
        registry.set(.store, .notReady("full"))
        #expect(!registry.report.isReady)
    }

    @Test func `livez is always ok`() {
        #expect(HealthResponse.live().status == 200)
        #expect(text(.live()) == #"{"status":"ok"}"#)
    }

    @Test func `readyz names the part that isn't ready, and the reason only with details`() {
        let registry = allReady()
        let parts = #"{"name":"listener","ready":true},{"name":"certificates","ready":true},{"name":"store","ready":true},"#
        let rest = #"{"name":"configuration","ready":true},{"name":"descriptors","ready":true},{"name":"token_keys","ready":true}]}"#
        #expect(HealthResponse.ready(registry.report, details: false).status == 200)
        #expect(
            text(.ready(registry.report, details: true)) == #"{"status":"ready","parts":["# + parts
                + #"{"name":"accepting","ready":true},"# + rest)
        registry.set(.accepting, .notReady("the \"drain\"\nbegan"))
        #expect(HealthResponse.ready(registry.report, details: false).status == 503)
        #expect(
            text(.ready(registry.report, details: false)) == #"{"status":"not_ready","parts":["# + parts
                + #"{"name":"accepting","ready":false},"# + rest)
        #expect(
            text(.ready(registry.report, details: true)) == #"{"status":"not_ready","parts":["# + parts
                + #"{"name":"accepting","ready":false,"reason":"the \"drain\"\nbegan"},"# + rest)
    }

    @Test func `a degraded part is ready, and only the details report it`() {
        let registry = allReady()
        let details = HealthDetails(version: "1.0", environment: "staging", uptimeMilliseconds: 1, connections: 0, sessions: 0)
        let before = text(.health(registry.report, details: nil))
        registry.watch(.certificates) { "expires \"soon\"" }
        #expect(registry.report.isReady && registry.report.isDegraded)
        let health = HealthResponse.health(registry.report, details: details)
        #expect(health.status == 200)
        #expect(text(health).hasPrefix(#"{"status":"degraded","parts":["#))
        let degraded = #"{"name":"certificates","ready":true,"degraded":true,"reason":"expires \"soon\""}"#
        #expect(text(health).contains(degraded))
        let ready = HealthResponse.ready(registry.report, details: true)
        #expect(ready.status == 200 && text(ready).hasPrefix(#"{"status":"ready","#) && text(ready).contains(degraded))
        #expect(text(.health(registry.report, details: nil)) == before)
        registry.set(.store, .notReady("full"))
        #expect(text(.health(registry.report, details: details)).hasPrefix(#"{"status":"not_ready","#))
        registry.set(.certificates, .notReady("none"))
        #expect(text(.health(registry.report, details: details)).contains(#""reason":"none""#))
        registry.watch(.certificates) { nil }
        registry.set(.certificates, .ready)
        registry.set(.store, .ready)
        #expect(!registry.report.isDegraded)
    }

    @Test func `health adds version, environment and load only with details`() {
        let report = allReady().report
        #expect(text(.health(report, details: nil)) == text(.ready(report, details: false)))
        let details = HealthDetails(version: "1.0", environment: "staging", uptimeMilliseconds: 61_000, connections: 3, sessions: 2)
        #expect(
            text(.health(report, details: details)).hasSuffix(
                #","version":"1.0","environment":"staging","uptime_ms":61000,"connections":3,"sessions":2,"upstreams":[]}"#))
        var busy = details
        busy.upstreams = [.init(name: "chat", state: "degraded"), .init(name: "voice", state: "ready")]
        #expect(
            text(.health(report, details: busy)).hasSuffix(
                #""upstreams":[{"name":"chat","state":"degraded"},{"name":"voice","state":"ready"}]}"#))
    }
}
