// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Sessions at the operations listener: lists, details, reports, closing and erasing.
@Suite(.bounded) struct SessionOperationsTests {
    private func get(_ gateway: GatewayProcess, _ target: String, method: String = "GET", accept: String? = nil) async throws
        -> HTTPResponseText
    {
        var request = HTTPRequestText(target, method: method)
        if let accept { request.fields.append(("Accept", accept)) }
        return try await gateway.operationsResponse(to: request)
    }

    @Test func `sessions are listed in pages and filtered by state`() async throws {
        let gateway = try await GatewayProcess(["listen.loops": "2"])
        var ids: [String] = []
        var clients: [TestWebSocket] = []
        for _ in 0..<5 {
            let client = try await gateway.webSocket()
            ids.append(try await client.message("session")["session_id"].string ?? "")
            clients.append(client)
        }
        await clients[1].socket.reset()
        _ = try await gateway.line { $0["msg"] == "session detached" }
        var found: [String] = []
        var target = "/v1/sessions?limit=2"
        for _ in 0..<3 {
            let page = try JSON(try await get(gateway, target).body)
            found += page["sessions"].array?.compactMap { $0["session_id"].string } ?? []
            guard let cursor = page["cursor"].string else { break }
            target = "/v1/sessions?limit=2&cursor=\(cursor)"
        }
        #expect(found == ids.sorted())
        let detached = try JSON(try await get(gateway, "/v1/sessions?state=detached").body)
        #expect(detached["sessions"].array?.map { $0["session_id"].string } == [ids[1]])
        #expect(detached["sessions"][0]["state"] == "detached" && detached["cursor"] == .null)
        for wrong in ["limit=0", "limit=501", "limit=x", "state=asleep", "cursor=nonsense"] {
            let rejected = try await get(gateway, "/v1/sessions?\(wrong)")
            #expect(rejected.status == 400 && rejected.body.contains("invalid_message"), "\(wrong)")
        }
        #expect(try await get(gateway, "/v1/sessions?limit=500").status == 200)
    }

    @Test func `a session has details, and its report contains the transcript`() async throws {
        let gateway = try await GatewayProcess()
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        let text = #"=cmd("x"), <script>"#
        try await client.send(["type": "text", "id": "a", "text": .string(text)])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        let shown = try JSON(try await get(gateway, "/v1/sessions/\(id)").body)
        #expect(shown["session"]["messages_in"] == 1 && shown["session"]["state"] == "attached" && shown["transcript"] == .null)
        #expect(shown["connection"]["address"].string?.hasPrefix("127.0.0.1:") == true && shown["outbox"]["last_seq"] == 1)
        let report = try JSON(try await get(gateway, "/v1/sessions/\(id.lowercased())/report").body)
        #expect(report["transcript"].array?.map { [$0["by"], $0["text"]] } == [["client", .string(text)], ["upstream", .string(text)]])
        for csv in [
            try await get(gateway, "/v1/sessions/\(id)/report?format=csv"),
            try await get(gateway, "/v1/sessions/\(id)/report", accept: "text/csv"),
        ] {
            #expect(csv["content-type"] == "text/csv; charset=utf-8")
            #expect(
                csv.body.contains(#","'=cmd(""x""), <script>""#) || csv.body.contains(#",text,"'=cmd(""x""), <script>""#), "\(csv.body)")
            #expect(csv.body.hasPrefix("at,by,kind,text,"))
        }
        #expect(try await get(gateway, "/v1/sessions/\(id)/report?format=pdf").status == 400)
        for unknown in ["/v1/sessions/01M7XQ95SZFZG3YNHSE7V35J13", "/v1/sessions/x", "/v1/sessions/x/report"] {
            #expect(try await get(gateway, unknown).status == 404, "\(unknown)")
        }
    }

    @Test func `with reports content metadata a report contains no texts`() async throws {
        let gateway = try await GatewayProcess(["reports.content": "metadata"])
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        try await client.send(["type": "text", "id": "a", "text": "between us"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        for format in ["json", "csv"] {
            let report = try await get(gateway, "/v1/sessions/\(id)/report?format=\(format)")
            #expect(report.status == 200 && !report.body.contains("between us"))
        }
    }

    @Test func `an operator closes an attached and a detached session`() async throws {
        let gateway = try await GatewayProcess()
        let (first, second) = (try await gateway.webSocket(), try await gateway.webSocket())
        let ids = [
            try await first.message("session")["session_id"].string ?? "", try await second.message("session")["session_id"].string ?? "",
        ]
        #expect(try await get(gateway, "/v1/sessions/\(ids[0])/close", method: "POST").status == 204)
        try await first.expectClose(4507)
        await second.socket.reset()
        _ = try await gateway.line { $0["msg"] == "session detached" && $0["session_id"].string == ids[1] }
        #expect(try await get(gateway, "/v1/sessions/\(ids[1])/close", method: "POST").status == 204)
        for id in ids { #expect(try await get(gateway, "/v1/sessions/\(id)/close", method: "POST").status == 404) }
        #expect(try JSON(try await get(gateway, "/v1/sessions").body)["sessions"] == .array([]))
    }

    @Test func `an erased live session leaves no trace in the store`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await GatewayProcess(["store.kind": "sqlite", "store.path": "sessions.sqlite"], directory: directory)
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        let secret = "a secret that nobody else would write"
        try await client.send(["type": "text", "id": "a", "text": .string(secret)])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        func isStored() throws -> Bool {
            try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasPrefix("sessions.sqlite") }.contains {
                file in
                try Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + file)).range(of: Data(secret.utf8)) != nil
            }
        }
        #expect(try isStored())
        #expect(try await get(gateway, "/v1/sessions/\(id)", method: "DELETE").status == 204)
        try await client.expectClose(4507)
        #expect(try !isStored())
        #expect(try await gateway.line("session erased")["session_id"].string == id)
        #expect(try await get(gateway, "/v1/sessions/\(id)").status == 404)
    }

    @Test func `requests for sessions require the token`() async throws {
        let gateway = try await GatewayProcess(["operations.token": "secret"])
        for target in ["/v1/sessions", "/v1/sessions/01M7XQ95SZFZG3YNHSE7V35J13", "/v1/sessions/01M7XQ95SZFZG3YNHSE7V35J13/report"] {
            #expect(try await get(gateway, target).status == 401)
        }
        #expect(try await get(gateway, "/v1/sessions/01M7XQ95SZFZG3YNHSE7V35J13", method: "DELETE").status == 401)
    }
}
