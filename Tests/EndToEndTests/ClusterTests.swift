// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Gateways that share a store: any node resumes any session.
@Suite(.bounded) struct ClusterTests {
    /// A Redis server and the flags of the nodes that share it.
    private struct Cluster {
        let redis: RedisServer
        var flags: [String: String]

        init(lease: String = "1s") async throws {
            redis = try await RedisServer()
            flags = [
                "environment": "development", "store.kind": "redis", "store.urls": "redis://127.0.0.1:\(redis.port)",
                "cluster.listen": "127.0.0.1:0", "cluster.secret": "a secret of sixteen bytes", "cluster.lease": lease,
                "limits.text_per_minute": "0", "connections.per_address": "0",
            ]
        }

        func node(_ name: String, _ more: [String: String] = [:]) async throws -> GatewayProcess {
            try await GatewayProcess(flags.merging(more) { $1 }.merging(["cluster.node": name]) { $1 })
        }
    }

    private func resume(_ node: GatewayProcess, _ session: JSON, after last: Int) async throws -> (TestWebSocket, JSON) {
        let client = try await node.webSocket(
            .upgrade("/v1/ws?last_seq=\(last)", adding: [("Parley-Resume", session["resume_token"].string ?? "")]))
        return (client, try await client.message("session"))
    }

    private func ask(_ client: TestWebSocket, _ id: String) async throws -> Int {
        try await client.send(["type": "text", "id": .string(id), "text": "x", "stream": false])
        #expect(try await client.message("ack")["duplicate"] == .null)
        return try #require(try await client.message("text")["seq"].integer)
    }

    @Test func `a session moves to the node that its client resumes it on, and its old connection is closed with 4503`() async throws {
        let cluster = try await Cluster()
        let (a, b) = (try await cluster.node("a"), try await cluster.node("b"))
        let first = try await a.webSocket()
        let session = try await first.message("session")
        #expect(session["durability"] == "memory")
        #expect(try await ask(first, "m1") == 1)
        let (second, resumed) = try await resume(b, session, after: 1)
        #expect(resumed["session_id"] == session["session_id"] && resumed["resumed"] == true && resumed["lost"] == false)
        try await first.expectClose(4503)
        #expect(try await ask(second, "m2") == 2)
        // An id that the first node accepted is known.
        try await second.send(["type": "text", "id": "m1", "text": "x"])
        #expect(try await second.message("ack")["duplicate"] == true)
        // And back.
        let (third, again) = try await resume(a, resumed, after: 1)
        #expect(again["resumed"] == true && again["lost"] == false && again["session_id"] == session["session_id"])
        #expect(try await third.message("text")["seq"].integer == 2)
        #expect(try await ask(third, "m3") == 3)
    }

    @Test func `the session of a killed node is claimed once its lease has ended`() async throws {
        let cluster = try await Cluster()
        let (a, b) = (try await cluster.node("a"), try await cluster.node("b"))
        let first = try await a.webSocket()
        let session = try await first.message("session")
        #expect(try await ask(first, "m1") == 1)
        a.signal(9)
        let (second, resumed) = try await resume(b, session, after: 0)
        #expect(resumed["resumed"] == true && resumed["lost"] == false && resumed["session_id"] == session["session_id"])
        #expect(try await second.message("text")["seq"].integer == 1)
        #expect(try await ask(second, "m2") == 2)
    }

    @Test func `a node takes the place of a dead process of its name at once`() async throws {
        let cluster = try await Cluster(lease: "60s")
        let (a, b) = (try await cluster.node("a"), try await cluster.node("b"))
        let first = try await a.webSocket()
        let session = try await first.message("session")
        #expect(try await ask(first, "m1") == 1)
        a.signal(9)
        let restarted = try await cluster.node("a")
        let (second, resumed) = try await resume(restarted, session, after: 1)
        #expect(resumed["resumed"] == true && resumed["lost"] == false)
        #expect(try await ask(second, "m2") == 2)
        let (third, again) = try await resume(b, resumed, after: 2)
        #expect(again["resumed"] == true)
        #expect(try await ask(third, "m3") == 3)
    }

    @Test func `a suspended owner loses its session, and closes its connection with 4503 when it runs again`() async throws {
        let cluster = try await Cluster()
        let (a, b) = (try await cluster.node("a"), try await cluster.node("b"))
        let first = try await a.webSocket()
        let session = try await first.message("session")
        #expect(try await ask(first, "m1") == 1)
        a.signal(19)
        let (second, resumed) = try await resume(b, session, after: 1)
        #expect(resumed["resumed"] == true && resumed["lost"] == false)
        #expect(try await ask(second, "m2") == 2)
        try await first.send(["type": "text", "id": "m3", "text": "x"])
        a.signal(18)
        // Without a lease the node accepts nothing, until it knows that it has lost the session.
        _ = try await first.error("overloaded")
        try await first.expectClose(4503)
        #expect(try await ask(second, "m3") == 3)
    }

    @Test func `a stopping node leaves its sessions to the others`() async throws {
        let cluster = try await Cluster(lease: "60s")
        let (a, b) = (try await cluster.node("a", ["shutdown.drain": "1s"]), try await cluster.node("b"))
        let first = try await a.webSocket()
        let session = try await first.message("session")
        #expect(try await ask(first, "m1") == 1)
        a.signal(15)
        #expect(try await a.exit() == 0)
        let (second, resumed) = try await resume(b, session, after: 1)
        #expect(resumed["resumed"] == true && resumed["lost"] == false)
        #expect(try await ask(second, "m2") == 2)
    }

    @Test func `an upstream call goes on where it is while its session moves, and can be cancelled from there`() async throws {
        let cluster = try await Cluster()
        let double = try await UpstreamDouble("websocket")
        let flags = [
            "upstreams.a.kind": "websocket", "upstreams.a.urls": "ws://127.0.0.1:\(double.port)", "routes.all.upstreams": "a",
        ]
        let (a, b) = (try await cluster.node("a", flags), try await cluster.node("b", flags))
        let first = try await a.webSocket()
        let session = try await first.message("session")
        let texts = ["m1": "slow 1000 one two", "m2": "hang"]
        for (id, text) in texts.sorted(by: { $0.key < $1.key }) {
            try await first.send(["type": "text", "id": .string(id), "text": .string(text)])
            try await double.event("request", id: id)
        }
        for id in texts.keys.sorted() { #expect(try await first.message("ack")["id"] == .string(id)) }
        let (second, resumed) = try await resume(b, session, after: 0)
        #expect(resumed["resumed"] == true && resumed["lost"] == false)
        try await first.expectClose(4503)
        #expect(try await second.collectResponse(to: "m1").text == "SLOW 1000 ONE TWO")
        try await double.event("completed", id: "m1")
        try await second.send(["type": "cancel", "id": "m2"])
        try await double.event("cancelled", id: "m2")
        #expect(try double.events.filter { $0["event"] == "request" }.count == 2)
        // New requests start on the new node.
        a.signal(9)
        try await second.send(["type": "text", "id": "m3", "text": "three"])
        #expect(try await second.collectResponse(to: "m3").text == "THREE")
    }

    @Test func `a call whose node is killed after its session moved fails once, with a retryable error`() async throws {
        let cluster = try await Cluster()
        let double = try await UpstreamDouble("websocket")
        let flags = [
            "upstreams.a.kind": "websocket", "upstreams.a.urls": "ws://127.0.0.1:\(double.port)", "routes.all.upstreams": "a",
        ]
        let (a, b) = (try await cluster.node("a", flags), try await cluster.node("b", flags))
        let first = try await a.webSocket()
        let session = try await first.message("session")
        try await first.send(["type": "text", "id": "m1", "text": "hang"])
        try await double.event("request", id: "m1")
        let (second, _) = try await resume(b, session, after: 0)
        a.signal(9)
        let error = try await second.message("error")
        #expect(error["error"]["reply_to"] == "m1" && error["error"]["retryable"] == true && error["done"] == true)
        try await second.expectServed()
    }

    @Test func `a token that no node knows opens a new session that says so`() async throws {
        let cluster = try await Cluster()
        let a = try await cluster.node("a")
        let (_, session) = try await resume(a, ["resume_token": .string(String(repeating: "A", count: 43))], after: 0)
        #expect(session["resumed"] == false && session["lost"] == true && session["resume_error"] == "unknown")
    }
}
