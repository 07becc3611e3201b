// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOEmbedded
import Support
import Testing

/// The drain of one event loop, by the test's clock.
@Suite struct DrainingTests {
    private static let schedule = DrainSchedule(total: .seconds(10))

    private static func drain(_ harness: LoopHarness, _ times: [DrainSchedule.Times], cutsRequests: Bool = false) {
        harness.shard.connections.drain(schedule, times: times, cutsRequests: cutsRequests, now: harness.loop.clock.now)
    }

    @Test func `each connection gets goaway and 1012 at its own time, with what is left of the grace period`() throws {
        let harness = LoopHarness()
        let clients = try (0..<2).map { _ in try harness.openSession() }
        Self.drain(
            harness, [.init(goAway: .zero, close: .seconds(6)), .init(goAway: .seconds(2), close: .seconds(7))])
        #expect(try clients[0].frames().map(\.text) == [#"{"type":"goaway","reason":"draining","deadline_ms":6000}"#])
        harness.advance(by: .milliseconds(1900))
        #expect(try clients[1].frames() == [])
        harness.advance(by: .milliseconds(100))
        #expect(try clients[1].frames().map(\.text) == [#"{"type":"goaway","reason":"draining","deadline_ms":4000}"#])
        harness.advance(by: .milliseconds(3900))
        #expect(try clients[0].frames() == [])
        harness.advance(by: .milliseconds(100))
        #expect(try clients[0].frames().map(\.closeCode) == [1012])
        #expect(try clients[1].frames() == [])
        harness.advance(by: .seconds(1))
        #expect(try clients[1].frames().map(\.closeCode) == [1012])
    }

    @Test func `a client that connects during the drain gets goaway at once and is closed after the grace period`() throws {
        let harness = LoopHarness()
        Self.drain(harness, [])
        harness.advance(by: .seconds(1))
        let client = try harness.openSession()
        harness.advance(by: .milliseconds(100))
        #expect(try client.frames().map(\.text) == [#"{"type":"goaway","reason":"draining","deadline_ms":4900}"#])
        harness.advance(by: .milliseconds(4900))
        #expect(try client.frames().map(\.closeCode) == [1012])
    }

    @Test func `goaway is sent once, also if the drain begins twice`() throws {
        let harness = LoopHarness()
        let client = try harness.openSession()
        let times = [DrainSchedule.Times(goAway: .zero, close: .seconds(6))]
        Self.drain(harness, times)
        harness.advance(by: .seconds(1))
        Self.drain(harness, times, cutsRequests: true)
        harness.advance(by: .seconds(1))
        #expect(try client.frames().count == 1)
    }

    @Test(arguments: [true, false])
    func `connections that aren't WebSockets are aborted after the grace period only if the process stops`(stops: Bool) throws {
        let harness = LoopHarness { $0.http.headerTimeout = .seconds(60) }
        let client = try harness.connect()
        Self.drain(harness, [], cutsRequests: stops)
        harness.advance(by: .milliseconds(5900))
        #expect(client.channel.isActive)
        harness.advance(by: .milliseconds(100))
        #expect(client.channel.isActive == !stops)
    }

    @Test(arguments: [true, false])
    func `upgrades during a drain are rejected unless the listener belongs to the service manager`(rejects: Bool) throws {
        let harness = LoopHarness()
        harness.shared.beginDraining(rejectsUpgrades: rejects)
        let client = try harness.connect()
        try client.send(Array(EmbeddedConnection.request(path: "/v1/ws").utf8))
        #expect(try client.responseHead().hasPrefix(rejects ? "HTTP/1.1 503" : "HTTP/1.1 101"))
    }
}
