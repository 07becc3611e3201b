// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayRedis

@Suite("Replies of Redis") struct RedisReplyTests {
    private static let server = RedisEndpoint(host: "10.0.0.1", port: 7000)

    private static func bulk(_ text: String) -> RedisReply { .bulk(Array(text.utf8)) }

    @Test func `errors are equal if their code and text are`() {
        #expect(RedisError(code: "OOM", text: "a") == RedisError(code: "OOM", text: "a"))
        #expect(RedisError(code: "OOM", text: "a") != RedisError(code: "OOM", text: "b"))
        #expect("\(RedisError(code: "OOM", text: "a b"))" == "OOM a b")
    }

    @Test func `bytes, text, numbers and elements are those of the right replies`() {
        #expect(Self.bulk("x").text == "x" && RedisReply.status([0x79]).text == "y" && RedisReply.integer(1).text == nil)
        #expect(RedisReply.integer(-3).number == -3 && Self.bulk("12").number == 12 && Self.bulk("x").number == nil)
        #expect(RedisReply.array([.null]).elements == [.null] && RedisReply.null.elements == nil)
        let fields = RedisReply.array([Self.bulk("a"), .integer(1), Self.bulk("b"), .integer(2), Self.bulk("c")])
        #expect(fields.value(of: "b") == .integer(2))
        #expect(fields.value(of: "c") == nil && fields.value(of: "x") == nil)
    }

    // MARK: Cluster

    @Test(arguments: [
        ("3999 127.0.0.1:6381", 3999, "127.0.0.1", 6381), ("0 ::1:6381", 0, "::1", 6381), ("16383 [::1]:1", 16383, "::1", 1),
        ("1 :6381", 1, "10.0.0.1", 6381), ("1 host.example:65535", 1, "host.example", 65535),
    ]) func `the target of a redirection is parsed`(text: String, slot: Int, host: String, port: Int) {
        let redirection = Redirection(text, from: Self.server)
        #expect(redirection?.slot == slot && redirection?.endpoint == RedisEndpoint(host: host, port: port))
    }

    @Test(arguments: ["", "1", "16384 a:1", "-1 a:1", "x a:1", "1 a", "1 a:0", "1 a:65536", "1 a:1 b", "1 ?:6379"])
    func `a malformed redirection is ignored`(text: String) {
        #expect(Redirection(text, from: Self.server) == nil)
    }

    private static func entry(_ first: Int64, _ last: Int64, _ host: RedisReply, _ port: Int64) -> RedisReply {
        .array([.integer(first), .integer(last), .array([host, .integer(port), bulk("id")]), .array([bulk("replica"), .integer(1)])])
    }

    @Test func `the slots of a cluster are parsed`() {
        let reply = RedisReply.array([
            Self.entry(0, 99, Self.bulk("a"), 1), Self.entry(100, 100, .null, 2), Self.entry(101, 200, Self.bulk("?"), 3),
            Self.entry(201, 16383, Self.bulk("a"), 1),
        ])
        let map = ClusterMap(reply, from: Self.server)
        #expect(map?.masters == [RedisEndpoint(host: "a", port: 1), RedisEndpoint(host: "10.0.0.1", port: 2)])
        #expect(map?.ranges.map(\.slots) == [0...99, 100...100, 201...16383])
    }

    @Test func `a malformed list of slots is rejected`() {
        for entry in [
            Self.entry(-1, 1, Self.bulk("a"), 1), Self.entry(2, 1, Self.bulk("a"), 1), Self.entry(0, 16384, Self.bulk("a"), 1),
            Self.entry(0, 1, Self.bulk("a"), 0), Self.entry(0, 1, Self.bulk("a"), 65536), .integer(1), .array([.integer(1), .integer(2)]),
        ] { #expect(ClusterMap(.array([entry]), from: Self.server) == nil) }
        #expect(ClusterMap(.null, from: Self.server) == nil)
        #expect(ClusterMap(.array([]), from: Self.server)?.ranges == [])
    }

    @Test func `a cluster may have as many masters as the limit`() {
        func map(_ count: Int) -> ClusterMap? {
            ClusterMap(.array((0..<count).map { Self.entry(Int64($0), Int64($0), Self.bulk("h\($0)"), 1) }), from: Self.server)
        }
        #expect(map(ClusterMap.maxMasters)?.masters.count == ClusterMap.maxMasters)
        #expect(map(ClusterMap.maxMasters + 1) == nil)
    }

    // MARK: Sentinel

    @Test func `the new master is parsed from a Sentinel's message`() {
        func parse(_ text: String) -> RedisEndpoint? { SentinelWatch.newMaster(Array(text.utf8), of: "main") }
        #expect(parse("main 10.0.0.1 6379 10.0.0.2 6380") == RedisEndpoint(host: "10.0.0.2", port: 6380))
        for text in ["", "other 10.0.0.1 6379 10.0.0.2 6380", "main 10.0.0.1 6379 10.0.0.2", "main a 1 b 0", "main a 1 b x"] {
            #expect(parse(text) == nil, "\(text)")
        }
    }

    // MARK: Greeting

    @Test func `a server is rejected unless its mode and role fit`() throws {
        func objection(_ mode: String, _ role: String, _ purpose: ConnectionPurpose, _ settings: RedisSettings) throws -> String? {
            let fields = ["version", "7.0.15", "mode", mode, "role", role].map(Self.bulk)
            return try #require(ServerGreeting(.array(fields))).objection(to: purpose, in: settings)
        }
        let single = RedisSettings(endpoints: [Self.server])
        let cluster = RedisSettings(mode: .cluster, endpoints: [Self.server])
        #expect(try objection("standalone", "master", .master, single) == nil)
        #expect(try objection("standalone", "replica", .master, single) == "the server is a replica")
        #expect(try objection("standalone", "slave", .master, single) == "the server is a replica")
        #expect(try objection("cluster", "master", .master, single)?.contains("redis+cluster://") == true)
        #expect(try objection("sentinel", "", .master, single)?.contains("redis+sentinel://") == true)
        #expect(try objection("cluster", "master", .master, cluster) == nil)
        #expect(try objection("standalone", "master", .master, cluster) == "the server isn't a node of a cluster")
        #expect(try objection("cluster", "replica", .clusterNode, cluster) == nil)
        #expect(try objection("sentinel", "", .sentinel, single) == nil)
        #expect(try objection("standalone", "master", .sentinel, single) == "the server isn't a Sentinel")
        #expect(ServerGreeting(.null) == nil)
    }
}
