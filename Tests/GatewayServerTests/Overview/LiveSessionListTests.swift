// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayServer

/// The lists of live sessions on one event loop.
@Suite struct LiveSessionListTests {
    private func find(_ harness: LoopHarness, _ query: SessionQuery) -> [LiveSession] {
        var found: [LiveSession]?
        harness.shard.sessions.find(query) { found = $0 }
        harness.eventLoop.advanceTime(by: .seconds(1))
        return found ?? []
    }

    @Test func `sessions are sorted by errors, and the pages of a cursor contain each one once`() throws {
        let harness = LoopHarness()
        // The session with number n has n errors, except for two with three.
        for count in [0, 3, 1, 3, 2] {
            let connection = try harness.openSession()
            for _ in 0..<count { try connection.send(text: "{") }
        }
        let all = find(harness, SessionQuery(sort: .errors, limit: 10))
        #expect(all.map(\.report.counts.errors) == [3, 3, 2, 1, 0])
        #expect(all[0].report.id < all[1].report.id)
        var (pages, after): ([ULID], SessionRank?) = ([], nil)
        for _ in 0..<3 {
            let page = find(harness, SessionQuery(sort: .errors, after: after, limit: 2))
            pages += page.map(\.report.id)
            after = page.last?.rank
        }
        #expect(pages == all.map(\.report.id))
        let last = try #require(all.last).rank
        #expect(find(harness, SessionQuery(sort: .errors, after: last, limit: 2)).isEmpty)
    }

    @Test func `the oldest session comes first by age, one without a round trip last by rtt, and a filter applies`() throws {
        let harness = LoopHarness()
        var connections: [EmbeddedConnection] = []
        for _ in 0..<3 {
            connections.append(try harness.openSession())
            harness.advance(by: .seconds(1))
        }
        let byAge = find(harness, SessionQuery(sort: .age, limit: 10))
        #expect(byAge.map(\.report.id) == byAge.map(\.report.id).sorted())
        #expect(find(harness, SessionQuery(sort: .rtt, limit: 10)).allSatisfy { $0.rank.figure == -1 })
        #expect(find(harness, SessionQuery(sort: .memory, limit: 2)).count == 2)
        #expect(find(harness, SessionQuery(sort: .memory, limit: 10, user: "u1")).isEmpty)
        #expect(find(harness, SessionQuery(limit: 10, attached: false)).isEmpty)
        #expect(find(harness, SessionQuery(limit: 10, attached: true)).count == 3)
    }
}
