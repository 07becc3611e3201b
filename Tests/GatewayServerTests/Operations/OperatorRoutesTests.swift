// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayTLS
import Logging
import NIOEmbedded
import NIOPosix
import Support
import Testing

@testable import GatewayServer

/// The routes of connections, figures, certificates and the log.
@Suite struct OperatorRoutesTests {
    private struct Directory: ConnectionDirectory {
        let views: [ConnectionView]

        func connections(after cursor: ULID?, limit: Int) async -> [ConnectionView] {
            Array(views.filter { view in cursor.map { "\($0)" < view.connectionID } ?? true }.prefix(limit))
        }

        func sessionsLimited() async -> [Limit: Int] { [.text: 2] }
        func addressesAtLimit(_ limit: Int) -> [AddressAtLimit] {
            [AddressAtLimit(address: "192.0.2.1", connections: 4, rules: ["connections.per_address"])]
        }

        func cleanUp() async -> CleanupReport {
            var report = CleanupReport()
            report.sessions = 3
            return report
        }
    }

    private static func view(_ number: UInt64) -> ConnectionView {
        ConnectionView(
            connectionID: "\(ULID(high: 0, low: number))", sessionID: nil, user: nil, address: "192.0.2.1:1", connectedAt: 1,
            lastHeardAt: 2,
            roundTripMilliseconds: nil, messagesIn: 3, messagesOut: 4, bytesIn: 5, bytesOut: 6, errors: 7, memoryBytes: 8, queueBytes: 9)
    }

    private static var connections: OperationsFeature {
        var statistics = ConnectionStatistics()
        statistics.totalConnections = 9
        statistics.activeConnections = 3
        return .connections(
            Directory(views: (1...3).map { view($0) }), statistics: { [statistics] in statistics },
            rates: { [RateLimitView(rule: "limits.text_per_minute", limit: 60, rejectedTotal: 5, sessionsLimited: 2)] })
    }

    @Test func `the counters and the pages of connections have the fields of the contract`() async throws {
        try await OperationsHarness.run(features: [Self.connections]) { server in
            let statistics = try JSON(try await server.send("GET /ws/stats").body)
            #expect(
                Set((statistics.object ?? [:]).keys) == [
                    "total_connections", "active_connections", "sessions_with_connections", "detached_sessions", "messages_in",
                    "messages_out", "errors", "uptime_ms",
                ])
            #expect(statistics["total_connections"] == 9)
            let first = try JSON(try await server.send("GET /ws/stats/detailed?limit=2").body)
            #expect(first["active_connections"] == 3)
            #expect(first["connections"].array?.count == 2)
            let cursor = try #require(first["cursor"].string)
            let second = try JSON(try await server.send("GET /ws/stats/detailed?limit=2&cursor=\(cursor)").body)
            #expect(second["connections"].array?.map { $0["connection_id"].string } == ["\(ULID(high: 0, low: 3))"])
            #expect(second["cursor"].isNull)
            for query in ["limit=0", "limit=1001", "limit=x", "cursor=x"] {
                #expect(try await server.send("GET /ws/stats/detailed?\(query)").status == 400)
            }
            #expect(try await server.send("GET /ws/stats/detailed?limit=1000").status == 200)
        }
    }

    @Test func `rate limits and a cleanup report their figures, and a cleanup requires the right to operate`() async throws {
        try await OperationsHarness.run(features: [Self.connections]) { server in
            let limits = try JSON(try await server.send("GET /ws/stats/rate-limit").body)
            #expect(limits["rules"].array?.first?["refused_total"] == 5)
            #expect(limits["rules"].array?.first?["sessions_limited"] == 2)
            #expect(limits["addresses"].array?.first?["address"] == "192.0.2.1")
            #expect(try JSON(try await server.send("POST /ws/cleanup").body)["sessions"] == 3)
            #expect(try await server.send("GET /ws/cleanup").status == 405)
            server.token.set([OperationsToken("r", identity: OperationsIdentity(name: "reader", rights: [.read]))])
            let rejected = try await server.send("POST /ws/cleanup", ["Authorization: Bearer r"])
            #expect(rejected.status == 403)
            #expect(rejected.body.contains("operate"))
            #expect(try await server.send("GET /ws/stats", ["Authorization: Bearer r"]).status == 200)
        }
    }

    @Test func `a log level is set for a time, and its request is checked`() async throws {
        let control = LogLevelControl(configured: .info, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), now: { 1000 }) { _ in }
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await OperationsHarness.run(features: [.log(LogTail(), level: control, logger: quiet)]) { server in
            let reply = try await server.send("POST /v1/gateway/log-level", body: #"{"level":"debug","for":"24h"}"#)
            #expect(try JSON(reply.body) == ["level": "debug", "until": 86_401_000, "configured": "info"])
            #expect(control.current.level == .debug)
            for body in [
                "", "{}", #"{"level":"loud"}"#, #"{"level":"debug","for":"999ms"}"#, #"{"level":"debug","for":"86401s"}"#,
                #"{"level":"debug","for":10}"#, #"{"level":"debug","until":1}"#,
            ] {
                #expect(try await server.send("POST /v1/gateway/log-level", body: body).status == 400, "\(body)")
            }
        }
    }

    @Test func `without follow, the log's matching lines are sent and the stream ends`() async throws {
        let tail = LogTail()
        let id = "\(ULID(high: 0, low: 7))"
        for (level, metadata) in [(Logger.Level.info, [:]), (.error, ["session_id": "\(id)"])] as [(Logger.Level, Logger.Metadata)] {
            let line = LogLine(time: WallTime(unixMilliseconds: 0), level: level, logger: "test", message: "m", metadata: metadata)
            tail.append(line, json: line.json())
        }
        let control = LogLevelControl(configured: .info, eventLoop: MultiThreadedEventLoopGroup.singleton.next()) { _ in }
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await OperationsHarness.run(features: [.log(tail, level: control, logger: quiet)]) { server in
            let all = try await server.send("GET /v1/logs")
            #expect(all.fields["content-type"] == "text/event-stream")
            #expect(all.body.components(separatedBy: "event: line\n").count == 3)
            let some = try await server.send("GET /v1/logs?level=warning&session_id=\(id)")
            #expect(some.body.components(separatedBy: "event: line\n").count == 2)
            #expect(some.body.contains(#""level":"error""#))
            for query in ["level=loud", "session_id=x", "correlation_id=%0a", "follow=1"] {
                #expect(try await server.send("GET /v1/logs?\(query)").status == 400)
            }
        }
    }

    @Test func `the stream of figures begins with the latest, has rates, and ends with the sampler`() async throws {
        let count = OperationsHarness.Counter()
        let sampler = OverviewSampler {
            var overview = Overview(at: 2000, version: "1", commit: "c", environment: "staging", startedAt: 1000)
            overview.totals.messagesIn = UInt64(count.get() * 10)
            count.add()
            return overview
        }
        let start = ContinuousClock.now
        await sampler.sample(at: start)
        await sampler.sample(at: start + .milliseconds(2000))
        var readings = sampler.read().makeAsyncIterator()
        let latest = await readings.next()
        #expect(latest?.rates.messagesIn == 5)
        #expect(latest?.uptimeMilliseconds == 1000)
        await sampler.sample(at: start + .milliseconds(2500))
        #expect(await readings.next()?.rates.messagesIn == 20)
        var earlier = Overview.Totals()
        earlier.errors = 7
        #expect(Overview.Rates(from: earlier, to: .init(), seconds: 1).errors == 0)
        #expect(Overview.Rates(from: .init(), to: earlier, seconds: 0).errors == 0)
    }

    @Test(arguments: [(86_400, 1), (86_399, 0), (0, 0), (-1, -1), (-86_400, -1), (-86_401, -2)] as [(Int64, Int)])
    func `the days left of a certificate are whole days`(seconds: Int64, days: Int) {
        let certificate = TLSCertificateSummary(path: "a.pem", names: ["a"], notBefore: 0, notAfter: 1_000_000 + seconds)
        #expect(CertificateView(certificate, key: "tls.certificates", now: 1_000_000_000).daysLeft == days)
    }

    @Test func `a list is sorted only for live sessions, and a wrong parameter is rejected`() async throws {
        try await OperationsHarness.run { server in
            for sort in SessionSort.allCases {
                let reply = try await server.send("GET /v1/sessions?sort=\(sort.rawValue)")
                #expect(reply.status == 200)
            }
            for query in ["sort=size", "sort=memory&state=all", "sort=memory&tag=x", "sort=memory&cursor=x", "sort=memory&limit=501"] {
                #expect(try await server.send("GET /v1/sessions?\(query)").status == 400, "\(query)")
            }
            #expect(try await server.send("GET /v1/sessions?node=elsewhere&user=u1").body == #"{"sessions":[]}"#)
        }
    }

    @Test func `every route has a description with its right, and the document has no other`() async throws {
        let control = LogLevelControl(configured: .info, eventLoop: MultiThreadedEventLoopGroup.singleton.next()) { _ in }
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let features = [
            Self.connections, .log(LogTail(), level: control, logger: quiet),
            .overview(
                OverviewSampler { Overview(at: 0, version: "", commit: "", environment: "", startedAt: 0) }, upstreams: { [] },
                certificates: { [] }),
        ]
        let routes = OperationsRoutes.routes + features.flatMap { $0.group.routes }
        for route in routes {
            for (method, access) in route.methods {
                let described = OpenAPIOperation.all.filter { $0.path == route.path && $0.method == method }
                #expect(described.count == 1, "\(method) \(route.path)")
                #expect(described.first?.access == access, "\(method) \(route.path)")
            }
        }
        let document = try JSON(String(decoding: OpenAPIDocument(of: routes).json, as: UTF8.self))
        let paths = try #require(document["paths"].object)
        #expect(Set(paths.keys) == Set(routes.map { OpenAPIDocument.path($0.path) }))
        try await OperationsHarness.run(features: features) { server in
            let served = try JSON(try await server.send("GET /v1/openapi.json").body)
            #expect(served["openapi"] == "3.1.0")
            let paths = served["paths"].object ?? [:]
            #expect(paths["/v1/sessions/{id}"]?["delete"]["x-right"] == "erase")
            #expect(paths["/v1/tokens"] == nil)
        }
    }
}
