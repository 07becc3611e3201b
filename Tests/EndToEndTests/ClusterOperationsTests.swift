// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Operators of several gateways that share a store: each node answers for all.
@Suite(.bounded) struct ClusterOperationsTests {
    private struct Cluster {
        let redis: RedisServer
        let flags: [String: String]

        init(lease: String = "1s", _ more: [String: String] = [:]) async throws {
            redis = try await RedisServer()
            flags = [
                "environment": "development", "store.kind": "redis", "store.urls": "redis://127.0.0.1:\(redis.port)",
                "cluster.listen": "127.0.0.1:0", "cluster.secret": "a secret of sixteen bytes", "cluster.lease": lease,
                "auth.mode": "jwt", "auth.secret": TestToken.secret, "connections.per_address": "0", "connections.per_user": "0",
            ].merging(more) { $1 }
        }

        func node(_ name: String) async throws -> GatewayProcess {
            try await GatewayProcess(flags.merging(["cluster.node": name]) { $1 })
        }

        /// Returns two nodes that know each other.
        func pair() async throws -> (GatewayProcess, GatewayProcess) {
            let (a, b) = (try await node("a"), try await node("b"))
            try await know(a, 2)
            return (a, b)
        }

        func know(_ node: GatewayProcess, _ count: Int) async throws {
            while try await ClusterOperationsTests.get(node, "/v1/nodes")["nodes"].array?.count != count {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private static func send(
        _ gateway: GatewayProcess, _ method: String, _ target: String, _ body: JSON? = nil, fields: [(String, String)] = []
    ) async throws -> HTTPResponseText {
        var request = HTTPRequestText(target, method: method)
        request.fields += fields
        if let body {
            request.body = body.text
            request.fields += [("Content-Type", "application/json"), ("Content-Length", "\(request.body.utf8.count)")]
        }
        return try await gateway.operationsResponse(to: request)
    }

    private static func get(_ gateway: GatewayProcess, _ target: String, token: String? = nil) async throws -> JSON {
        let response = try await send(gateway, "GET", target, fields: token.map { [("Authorization", "Bearer \($0)")] } ?? [])
        guard response.status == 200 else { throw TestFailure("\(response.status) \(response.body)") }
        return try response.json()
    }

    private func connect(_ gateway: GatewayProcess, _ user: String = "ada") async throws -> (client: TestWebSocket, id: String) {
        let client = try await gateway.webSocket(
            .upgrade("/v1/ws", adding: [("Authorization", "Bearer \(try TestToken.make(user))")]))
        return (client, try #require(try await client.message("session")["session_id"].string))
    }

    private func resume(_ gateway: GatewayProcess, _ session: JSON, after last: Int) async throws -> TestWebSocket {
        let client = try await gateway.webSocket(
            .upgrade(
                "/v1/ws?last_seq=\(last)",
                adding: [
                    ("Parley-Resume", session["resume_token"].string ?? ""), ("Authorization", "Bearer \(try TestToken.make("ada"))"),
                ]))
        let resumed = try await client.message("session")
        #expect(resumed["resumed"] == true && resumed["lost"] == false, "\(resumed)")
        return client
    }

    private func ids(_ page: JSON) -> [String] { (page["sessions"].array ?? []).compactMap { $0["session_id"].string } }

    @Test func `a list has the sessions of all nodes in its order, page by page, and those of one node`() async throws {
        let cluster = try await Cluster()
        let (a, b) = try await cluster.pair()
        var nodes: [String: String] = [:]
        var clients: [TestWebSocket] = []
        for (gateway, name) in [(a, "a"), (b, "b"), (a, "a"), (b, "b"), (b, "b")] {
            let (client, id) = try await connect(gateway)
            clients.append(client)
            nodes[id] = name
        }
        for sort in ["", "&sort=age", "&sort=memory"] {
            var (found, cursor): ([JSON], String?) = ([], nil)
            repeat {
                let page = try await Self.get(a, "/v1/sessions?limit=2\(sort)\(cursor.map { "&cursor=\($0)" } ?? "")")
                #expect(page["missing_nodes"] == .null)
                found += page["sessions"].array ?? []
                cursor = page["cursor"].string
            } while cursor != nil
            #expect(found.count == 5)
            for row in found { #expect(row["node"].string == nodes[row["session_id"].string ?? ""], "\(row)") }
            let listed = found.compactMap { $0["session_id"].string }
            if sort == "" { #expect(listed == nodes.keys.sorted()) }
            if sort == "&sort=memory" {
                let figures = found.compactMap { $0["memory_bytes"].integer }
                #expect(figures == figures.sorted(by: >))
            }
        }
        #expect(ids(try await Self.get(a, "/v1/sessions?node=b")) == nodes.filter { $0.value == "b" }.keys.sorted())
        #expect(ids(try await Self.get(b, "/v1/sessions?node=b&sort=queue")).sorted() == nodes.filter { $0.value == "b" }.keys.sorted())
        #expect(ids(try await Self.get(a, "/v1/sessions?node=c")) == [])
        let list = try await Self.get(a, "/v1/nodes")["nodes"].array ?? []
        #expect(list.map { $0["name"] } == ["a", "b"] && list.map { $0["self"] } == [true, false], "\(list)")

        let table = try await GatewayProcess.run(
            ["sessions", "list", "--address", "127.0.0.1:\(a.operationsPort)", "--node", "b"], directory: a.directory)
        #expect(table.lines.first?.contains("NODE") == true && table.lines.count == 4, "\(table)")
        #expect(table.lines.dropFirst().allSatisfy { $0.contains("  b  ") })

        // An ended session is listed once, by either node.
        let ended = try #require(nodes.first { $0.value == "b" }?.key)
        try await clients[1].send(["type": "text", "id": "x", "text": "x"])
        _ = try await clients[1].message("ack")
        let id = nodes.keys.sorted()[1]
        #expect(try await Self.send(a, "POST", "/v1/sessions/\(id)/close").status == 204)
        for gateway in [a, b] {
            let all = ids(try await Self.get(gateway, "/v1/sessions?state=all"))
            #expect(all.count { $0 == id } == 1 && all.count == 5, "\(ended) \(all)")
        }
    }

    @Test func `a session of another node is shown, annotated, tapped, supervised and closed, with the operator's rights and name`()
        async throws
    {
        let cluster = try await Cluster([
            "operations.token": "all-rights", "operations.tokens.reader.secret": "reader-secret", "operations.tokens.reader.rights": "read",
            "audit.path": "audit.log",
        ])
        let (a, b) = (try await cluster.node("a"), try await cluster.node("b"))
        let (client, id) = try await connect(a)
        let all = [("Authorization", "Bearer all-rights")]
        let shown = try await Self.send(b, "GET", "/v1/sessions/\(id)", fields: all)
        #expect(shown.status == 200 && shown["parley-node"] == "a", "\(shown.fields)")
        #expect(try shown.json()["session"]["node"] == "a" && shown.json()["session"]["user"] == "ada")
        #expect(try await Self.send(b, "GET", "/v1/sessions/\(id)").status == 401)
        let head = try await Self.send(b, "HEAD", "/v1/sessions/\(id)", fields: all)
        #expect(head.status == 200 && head.body.isEmpty)

        let refused = try await Self.send(b, "POST", "/v1/sessions/\(id)/close", fields: [("Authorization", "Bearer reader-secret")])
        #expect(refused.status == 403 && refused.body.contains("lacks the right operate"))
        #expect(try await Self.send(b, "PATCH", "/v1/sessions/\(id)", ["title": "order 4711"], fields: all).status == 200)
        #expect(try await Self.get(b, "/v1/sessions", token: "all-rights")["sessions"][0]["title"] == "order 4711")
        #expect(try await Self.get(b, "/v1/sessions", token: "reader-secret")["sessions"][0]["title"] == .null)

        // A stream crosses the link as it goes, and ends with the session.
        let tap = try await TestSocket.connect(port: b.operationsPort, .none)
        try await tap.send(HTTPRequestText("/v1/sessions/\(id)/tap", fields: [("Host", "localhost")] + all).bytes)
        try await receive(tap, "event: session")
        try await client.send(["type": "text", "id": "m1", "text": "hello", "stream": false])
        _ = try await client.message("ack")
        #expect(try await client.message("text")["text"] == "hello")
        try await receive(tap, "hello")

        #expect(try await Self.send(b, "POST", "/v1/sessions/\(id)/takeover", fields: all).status == 200)
        let said = try await Self.send(b, "POST", "/v1/sessions/\(id)/say", ["text": "from the desk"], fields: all)
        #expect(said.status == 200, "\(said.body)")
        #expect(try await client.message("text")["text"] == "from the desk")
        #expect(try await Self.send(b, "POST", "/v1/sessions/\(id)/close", fields: all).status == 204)
        try await client.expectClose(4507)
        try await receive(tap, "event: end")
        #expect(try await Self.send(b, "GET", "/v1/sessions/\(id)/report?format=json", fields: all).status == 200)
        #expect(try await Self.send(b, "POST", "/v1/sessions/\(id)/close", fields: all).status == 404)

        // The node of the session has recorded what was done.
        let records = try await Self.get(a, "/v1/audit", token: "all-rights")["records"].array ?? []
        let closing = records.filter { $0["path"].string?.hasSuffix("/close") == true && $0["status"] == 204 }
        #expect(closing.count == 1 && closing.first?["who"] == "operator", "\(records)")
        let others = try await Self.get(b, "/v1/audit", token: "all-rights")["records"].array ?? []
        #expect(others.allSatisfy { $0["status"] != 204 }, "\(others)")
    }

    private func receive(_ socket: TestSocket, _ wanted: String) async throws {
        _ = try await socket.receive { incoming -> Bool? in
            String(decoding: incoming.rest, as: UTF8.self).contains(wanted) ? true : nil
        }
    }

    @Test func `a push reaches a user on all nodes, and an idempotency key pushes once over all`() async throws {
        let cluster = try await Cluster()
        let (a, b) = try await cluster.pair()
        let devices = [try await connect(a), try await connect(b), try await connect(b)]
        let bob = try await connect(b, "bob")
        let key = [("Idempotency-Key", "order-1")]
        let body: JSON = ["type": "text", "text": "for ada"]
        let pushed = try await Self.send(a, "POST", "/v1/users/ada/messages", body, fields: key)
        #expect(pushed.status == 202)
        #expect(try ids(pushed.json()).sorted() == devices.map(\.id).sorted() && pushed.json()["undelivered"] == 0)
        let again = try await Self.send(b, "POST", "/v1/users/ada/messages", body, fields: key)
        #expect(again.status == 202 && again.body == pushed.body)
        let conflict = try await Self.send(b, "POST", "/v1/users/ada/messages", ["type": "text", "text": "other"], fields: key)
        #expect(conflict.status == 422)
        let one = try await Self.send(a, "POST", "/v1/sessions/\(devices[1].id)/messages", ["type": "text", "text": "for b"])
        #expect(one.status == 202 && one["parley-node"] == "b")
        let everyone = try await Self.send(b, "POST", "/v1/messages", ["type": "text", "text": "for all"])
        #expect(try ids(everyone.json()).sorted() == (devices.map(\.id) + [bob.id]).sorted())
        for (index, device) in devices.enumerated() {
            #expect(try await device.client.message("text")["text"] == "for ada")
            if index == 1 { #expect(try await device.client.message("text")["text"] == "for b") }
            #expect(try await device.client.message("text")["text"] == "for all")
        }
        #expect(try await bob.client.message("text")["text"] == "for all")
        // Concurrent requests with one key, over both nodes.
        let answers = try await withThrowingTaskGroup(of: String.self) { group in
            for index in 0..<10 {
                group.addTask {
                    try await Self.send(
                        index % 2 == 0 ? a : b, "POST", "/v1/users/bob/messages", ["type": "text", "text": "once"],
                        fields: [("Idempotency-Key", "k")]
                    ).body
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(answers.count == 1)
        #expect(try await bob.client.message("text")["text"] == "once")
        try await bob.client.send(["type": "text", "id": "m", "text": "echo", "stream": false])
        _ = try await bob.client.message("ack")
        #expect(try await bob.client.message("text")["text"] == "echo")
    }

    @Test func `the sessions of a killed node are claimed for a push and for an operator, and their clients resume them`() async throws {
        let cluster = try await Cluster()
        let (a, b) = try await cluster.pair()
        var sessions: [JSON] = []
        for _ in 0..<2 {
            let client = try await a.webSocket(.upgrade("/v1/ws", adding: [("Authorization", "Bearer \(try TestToken.make("ada"))")]))
            sessions.append(try await client.message("session"))
            try await client.send(["type": "text", "id": "m1", "text": "x", "stream": false])
            _ = try await client.message("ack")
            _ = try await client.message("text")
        }
        let ids = sessions.compactMap { $0["session_id"].string }
        try await a.stop()
        // The session isn't anywhere until the lease has ended.
        let shown = try await Self.get(b, "/v1/sessions/\(ids[0])")
        #expect(shown["session"]["node"] == "b" && shown["session"]["state"] == "detached", "\(shown)")
        let pushed = try await Self.send(b, "POST", "/v1/users/ada/messages", ["type": "text", "text": "for ada"])
        #expect(try self.ids(pushed.json()).sorted() == ids.sorted(), "\(pushed.body)")
        for session in sessions {
            let client = try await resume(b, session, after: 1)
            #expect(try await client.message("text")["text"] == "for ada")
        }
        // A session that has ended isn't in the index any more.
        for id in ids { #expect(try await Self.send(b, "POST", "/v1/sessions/\(id)/close").status == 204) }
        let missed = try await Self.send(b, "POST", "/v1/users/ada/messages", ["type": "text", "text": "late"])
        #expect(try missed.json()["sessions"] == .array([]) && missed.json()["undelivered"] == 1)
    }

    @Test func `a suspended node is named as missing, and a request about its session fails in time`() async throws {
        let cluster = try await Cluster(lease: "60s")
        let (a, b) = try await cluster.pair()
        let (first, second) = (try await connect(a), try await connect(b))
        #expect(ids(try await Self.get(b, "/v1/sessions")).sorted() == [first.id, second.id].sorted())
        a.signal(19)
        let begin = ContinuousClock.now
        let page = try await Self.get(b, "/v1/sessions")
        #expect(ids(page) == [second.id] && page["missing_nodes"] == ["a"], "\(page)")
        #expect(ContinuousClock.now - begin < .seconds(10))
        let table = try await GatewayProcess.run(
            ["sessions", "list", "--address", "127.0.0.1:\(b.operationsPort)"], directory: b.directory)
        #expect(table.errorLines.contains { $0.contains("didn't respond") && $0.contains("a") }, "\(table)")
        let pushed = try await Self.send(b, "POST", "/v1/messages", ["type": "text", "text": "for all"])
        #expect(try ids(pushed.json()) == [second.id] && pushed.json()["missing_nodes"] == ["a"], "\(pushed.body)")
        let failed = try await Self.send(b, "POST", "/v1/sessions/\(first.id)/close")
        #expect(failed.status == 503 || failed.status == 504, "\(failed.body)")
        #expect(failed.body.contains("the node a"))
        a.signal(18)
    }

    @Test func `the parameter node sends a request to a node`() async throws {
        let cluster = try await Cluster()
        let (a, b) = try await cluster.pair()
        for target in ["/v1/gateway", "/v1/upstreams", "/ws/stats", "/metrics"] {
            let response = try await Self.send(a, "GET", "\(target)?node=b")
            #expect(response.status == 200 && response["parley-node"] == "b", "\(target) \(response.fields)")
        }
        #expect(try await Self.send(a, "GET", "/v1/gateway?node=a")["parley-node"] == nil)
        #expect(try await Self.send(a, "GET", "/v1/gateway?node=c").status == 404)
        #expect(try await Self.send(a, "GET", "/metrics?node=b").body.contains(#"parley_node_info{node="b","#))
        let events = try await TestSocket.connect(port: a.operationsPort, .none)
        try await events.send(HTTPRequestText("/v1/events?node=b").bytes)
        try await receive(events, #""node":"b""#)
        #expect(try await Self.send(a, "POST", "/v1/gateway/drain?node=b").status == 202)
        _ = try await b.line("draining")
    }
}
