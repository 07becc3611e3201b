// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Reports and lists of ended sessions, and `parley sessions`.
@Suite(.bounded) struct SessionReportEndToEndTests {
    private static let stored = ["store.kind": "sqlite", "store.path": "sessions.sqlite"]

    private func request(
        _ gateway: GatewayProcess, _ target: String, method: String = "GET", accept: String? = nil, body: String? = nil
    ) async throws -> HTTPResponseText {
        var request = HTTPRequestText(target, method: method)
        request.fields.append(("Connection", "close"))
        if let accept { request.fields.append(("Accept", accept)) }
        if let body {
            request.fields.append(("Content-Length", "\(body.utf8.count)"))
            request.body = body
        }
        return try await gateway.operationsResponse(to: request)
    }

    private func json(_ gateway: GatewayProcess, _ target: String) async throws -> JSON {
        try JSON(try await request(gateway, target).body)
    }

    /// Sends a text and an invalid message in a new session, ends it, and returns its id.
    @discardableResult
    private func converse(_ gateway: GatewayProcess, _ text: String = "hello") async throws -> String {
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        try await client.send(["type": "text", "id": "a", "text": .string(text), "stream": false])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send("nonsense")
        _ = try await client.message("error")
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        _ = try await gateway.line { $0["msg"] == "session ended" && $0["session_id"].string == id }
        return id
    }

    /// Returns the report of an ended session, once it is stored.
    private func report(_ gateway: GatewayProcess, _ id: String) async throws -> JSON {
        for _ in 0..<100 {
            let response = try await request(gateway, "/v1/sessions/\(id)/report")
            if response.status == 200, try JSON(response.body)["session"]["state"] == "ended" { return try JSON(response.body) }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("no report of \(id)")
        return .null
    }

    @Test(arguments: ["memory", "sqlite"])
    func `an ended session is listed, and its report has counts, timeline, transcript and latencies`(store: String) async throws {
        let gateway = try await GatewayProcess(["store.kind": store, "store.path": "sessions.sqlite"], directory: try TemporaryDirectory())
        let id = try await converse(gateway)
        let report = try await report(gateway, id)
        #expect(report["session"]["ending"] == "bye" && report["session"]["messages_in"] == 3 && report["session"]["errors"] == 1)
        #expect(report["session"]["connections"] == 1 && report["session"]["resumes"] == 0)
        #expect(report["session"]["memory_peak_bytes"].number ?? 0 > 1000 && report["session"]["bytes_in"].number ?? 0 > 50)
        #expect(report["timeline"].array?.map { $0["event"] } == ["connected", "error", "disconnected"])
        #expect(report["timeline"][1]["code"] == "invalid_json" && report["timeline"][2]["close_code"] == 1000)
        #expect(report["transcript"].array?.map { [$0["by"], $0["text"]] } == [["client", "hello"], ["upstream", "hello"]])
        #expect(report["latency"]["first_reply_ms"]["count"] == 1 && report["latency"]["last_reply_ms"]["p99"].number ?? -1 >= 0)
        #expect(try await json(gateway, "/v1/sessions")["sessions"] == .array([]))
        for state in ["ended", "all"] {
            let page = try await json(gateway, "/v1/sessions?state=\(state)")
            #expect(page["sessions"].array?.map { $0["session_id"].string } == [id] && page["cursor"] == .null)
        }
    }

    @Test func `a session without requests leaves no report`() async throws {
        let gateway = try await GatewayProcess()
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        _ = try await gateway.line { $0["msg"] == "session ended" }
        #expect(try await request(gateway, "/v1/sessions/\(id)").status == 404)
    }

    @Test func `reports survive restarts until reports keep expires`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await GatewayProcess(Self.stored, directory: directory)
        let id = try await converse(gateway)
        _ = try await report(gateway, id)
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit() == 0)
        let next = try await GatewayProcess(Self.stored.merging(["reports.content": "metadata"]) { $1 }, directory: directory)
        let kept = try await report(next, id)
        #expect(kept["transcript"][0]["text"] == .null && kept["transcript"][0]["text_bytes"] == 5)
        next.signal(SIGTERM)
        #expect(try await next.exit() == 0)
        let last = try await GatewayProcess(
            Self.stored.merging(["reports.keep": "100ms", "sessions.sweep": "100ms"]) { $1 }, directory: directory)
        // The report is in the cache when it expires.
        _ = try await request(last, "/v1/sessions/\(id)/report?format=html")
        var status = 200
        for _ in 0..<100 where status == 200 {
            try await Task.sleep(for: .milliseconds(50))
            status = try await request(last, "/v1/sessions/\(id)/report?format=html").status
        }
        #expect(status == 404)
    }

    @Test func `an HTML report is escaped, and rendered once`() async throws {
        let gateway = try await GatewayProcess()
        let id = try await converse(gateway, "<script>alert(1)</script>")
        for _ in 0..<3 {
            let page = try await request(gateway, "/v1/sessions/\(id)/report", accept: "text/html")
            #expect(page.status == 200 && page["content-type"] == "text/html; charset=utf-8" && page["vary"] == "Accept")
            #expect(page["content-security-policy"]?.hasPrefix("default-src 'none'") == true)
            #expect(page.body.contains("&lt;script&gt;alert(1)") && !page.body.contains("<script"))
        }
        #expect(try await request(gateway, "/v1/sessions/\(id)/report?format=html").body.contains("<!DOCTYPE html>"))
        let cache = try await json(gateway, "/v1/gateway")["reports"]["cache"]
        #expect(cache["hits"] == 3 && cache["misses"] == 1 && cache["size"] == 1 && cache["bytes"].number ?? 0 > 1000)
        #expect(try await request(gateway, "/v1/sessions/\(id)/report", accept: "image/png").status == 406)
    }

    @Test func `the report of a live session isn't cached`() async throws {
        let gateway = try await GatewayProcess()
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        for count in [0, 1] {
            #expect(try await json(gateway, "/v1/sessions/\(id)/report")["transcript"].array?.count == count * 2)
            try await client.send(["type": "text", "id": .string("m\(count)"), "text": "x", "stream": false])
            _ = try await client.message("ack")
            _ = try await client.message("text")
        }
        #expect(try await json(gateway, "/v1/gateway")["reports"]["cache"]["size"] == 0)
    }

    @Test(arguments: ["memory", "sqlite"])
    func `title, tags and notes are set, filtered by, and erased with the session`(store: String) async throws {
        let gateway = try await GatewayProcess(["store.kind": store, "store.path": "sessions.sqlite"], directory: try TemporaryDirectory())
        let id = try await converse(gateway)
        _ = try await report(gateway, id)
        let live = try await gateway.webSocket()
        let other = try await live.message("session")["session_id"].string ?? ""
        _ = try await request(gateway, "/v1/sessions/\(id)/report?format=html")
        for session in [id, other] {
            let changed = try await request(
                gateway, "/v1/sessions/\(session)", method: "PATCH", body: #"{"title":"A <b>call</b>","tags":["urgent","b"],"notes":"n"}"#)
            #expect(changed.status == 200)
            let details = try JSON(changed.body)
            #expect(
                details["session"]["title"] == "A <b>call</b>" && details["session"]["tags"] == ["urgent", "b"] && details["notes"] == "n")
        }
        #expect(try await request(gateway, "/v1/sessions/\(id)/report?format=html").body.contains("A &lt;b&gt;call"))
        let found = try await json(gateway, "/v1/sessions?state=all&tag=urgent")["sessions"].array?.map { $0["session_id"].string }
        #expect(found == [id, other].sorted())
        #expect(try await json(gateway, "/v1/sessions?state=all&tag=else")["sessions"] == .array([]))
        for wrong in [#"{"title":3}"#, "", "[]", #"{"x":1}"#] {
            let rejected = try await request(gateway, "/v1/sessions/\(id)", method: "PATCH", body: wrong)
            #expect(rejected.status == 400 && rejected.body.contains("invalid_message"), "\(wrong)")
        }
        let large = String(repeating: " ", count: 64_001)
        #expect(try await request(gateway, "/v1/sessions/\(id)", method: "PATCH", body: large).status == 413)
        #expect(try await request(gateway, "/v1/sessions/01M7XQ95SZFZG3YNHSE7V35J13", method: "PATCH", body: "{}").status == 404)
        #expect(try await request(gateway, "/v1/sessions/\(id)", method: "PUT").status == 405)
        for session in [id, other] {
            #expect(try await request(gateway, "/v1/sessions/\(session)", method: "DELETE").status == 204)
            #expect(try await request(gateway, "/v1/sessions/\(session)/report?format=html").status == 404)
            #expect(try await request(gateway, "/v1/sessions/\(session)", method: "DELETE").status == 404)
        }
        #expect(try await json(gateway, "/v1/sessions?state=all")["sessions"] == .array([]))
    }

    private let secret = "a secret that nobody else would write"

    /// Whether the secret is in the store's file or its write-ahead log.
    private func isStored(in directory: TemporaryDirectory) throws -> Bool {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasPrefix("sessions.sqlite") }.contains { file in
            try Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + file)).range(of: Data(secret.utf8)) != nil
        }
    }

    @Test func `with reports content metadata no text is left in the store after the next sweep`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await GatewayProcess(
            Self.stored.merging(["reports.content": "metadata", "sessions.sweep": "100ms"]) { $1 }, directory: directory)
        let id = try await converse(gateway, secret)
        _ = try await report(gateway, id)
        var isStored = true
        for _ in 0..<100 where isStored {
            try await Task.sleep(for: .milliseconds(50))
            isStored = try self.isStored(in: directory)
        }
        #expect(!isStored)
    }

    @Test func `an ended session is erased from every file`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await GatewayProcess(Self.stored, directory: directory)
        let id = try await converse(gateway, secret)
        _ = try await report(gateway, id)
        #expect(try isStored(in: directory))
        #expect(try await request(gateway, "/v1/sessions/\(id)", method: "DELETE").status == 204)
        #expect(try !isStored(in: directory))
        #expect(try await gateway.line("session erased")["session_id"].string == id)
    }

    @Test func `a list is available as newline-delimited JSON`() async throws {
        let gateway = try await GatewayProcess()
        var ids: [String] = []
        for _ in 0..<3 { ids.append(try await converse(gateway)) }
        let response = try await request(gateway, "/v1/sessions?state=ended", accept: "application/x-ndjson")
        #expect(response.status == 200 && response["content-type"] == "application/x-ndjson")
        let lines = response.body.split(whereSeparator: \.isNewline).compactMap { try? JSON(String($0)) }
        // The sizes of HTTP chunks between the lines aren't JSON and are skipped.
        #expect(lines.compactMap { $0["session_id"].string } == ids.sorted())
    }

    @Test func `parley sessions lists, shows, reports, closes and deletes`() async throws {
        let gateway = try await GatewayProcess(["operations.token": "secret"])
        let directory = try TemporaryDirectory()
        try directory.write("secret\n", to: "token")
        let id = try await converse(gateway, "it\u{1B}[2J was said")
        let live = try await gateway.webSocket()
        let other = try await live.message("session")["session_id"].string ?? ""
        let listenerOptions = ["--address", "127.0.0.1:\(gateway.operationsPort)", "--token-file", directory.path + "/token"]
        func sessions(_ arguments: String...) async throws -> (status: ChildProcess.ExitStatus, lines: [String]) {
            let result = try await GatewayProcess.run(["sessions"] + arguments + listenerOptions, directory: directory)
            return (result.status, result.lines + result.errorLines)
        }
        var result = try await sessions("list", "--state", "all")
        #expect(result.status == 0 && result.lines.count == 3 && result.lines[0].hasPrefix("SESSION") && result.lines[1].hasPrefix(id))
        result = try await sessions("list", "--format", "json")
        #expect(try result.lines.map { try JSON($0)["session_id"].string } == [other])
        result = try await sessions("list", "--state", "all", "--limit", "1")
        #expect(result.lines.contains { $0.hasPrefix(id) } && result.lines.contains { $0.contains("more sessions exist") })
        result = try await sessions("show", id)
        #expect(result.lines.contains { $0.hasPrefix("state") && $0.contains("ended, bye") } && !result.lines.contains("transcript"))
        result = try await sessions("show", id, "--format", "json")
        #expect(try JSON(result.lines.joined())["session"]["session_id"].string == id)
        result = try await sessions("report", id)
        #expect(result.lines.contains { $0.contains("it[2J was said") } && result.lines.contains { $0.contains("invalid_json") })
        result = try await sessions("report", id, "--format", "csv")
        #expect(result.lines.first?.hasPrefix("at,by,kind,text,") == true)
        result = try await sessions("report", id, "--format", "html", "-o", directory.path + "/report.html")
        #expect(try result.status == 0 && directory.read("report.html").hasPrefix("<!DOCTYPE html>"))
        for (options, title, tags, notes) in [
            (
                ["--title", "A call", "--tag", "vip", "--tag", "be=lin", "--notes", "two\nlines"], "A call", ["vip", "be=lin"], "two\nlines"
            ),
            (["--tag", "new", "--no-notes"], "A call", ["new"], nil), (["--no-title", "--no-tags"], nil, [], nil),
        ] as [([String], String?, [String], String?)] {
            let set = try await GatewayProcess.run(["sessions", "annotate", id] + options + listenerOptions, directory: directory)
            #expect(set.status == 0 && set.lines == ["\(id) annotated"], "\(set)")
            let shown = try JSON(try await sessions("show", id, "--format", "json").lines.joined())
            #expect(shown["session"]["title"].string == title && shown["notes"].string == notes)
            #expect(shown["session"]["tags"].array?.compactMap(\.string) == tags)
        }
        result = try await sessions("annotate", id, "--tag", String(repeating: "x", count: 65))
        #expect(result.status == 1 && result.lines == ["a tag must have 1 to 64 characters"])
        #expect(try await sessions("annotate", id).status == 64)
        #expect(try await sessions("annotate", id, "--title", "x", "--no-title").status == 64)
        result = try await sessions("close", other)
        #expect(result.status == 0)
        try await live.expectClose(4507)
        result = try await sessions("delete", id)
        #expect(result.status == 0)
        for arguments in [["show", id], ["delete", id], ["close", other]] {
            let missing = try await GatewayProcess.run(["sessions"] + arguments + listenerOptions, directory: directory)
            #expect(missing.status == 1 && missing.errorLines == ["there is no such session"], "\(arguments)")
        }
        result = try await sessions("show", "../gateway")
        #expect(result.status == 1 && result.lines.contains { $0.contains("26 letters and digits") })
        for wrong in ["127.0.0.1:99999", "http://127.0.0.1:1", "localhost"] {
            #expect(try await GatewayProcess.run(["sessions", "list", "--address", wrong], directory: directory).status == 64, "\(wrong)")
        }
        let rejected = try await GatewayProcess.run(["sessions", "list"] + listenerOptions.prefix(2), directory: directory)
        #expect(rejected.status == 1 && rejected.errorLines.contains { $0.contains("send Authorization: Bearer") })
        let unreachable = try await GatewayProcess.run(["sessions", "list", "--address", "127.0.0.1:1"], directory: directory)
        #expect(
            unreachable.status == 69 && unreachable.lines.isEmpty
                && unreachable.errorLines == ["no response from the gateway at 127.0.0.1:1: Connection refused"], "\(unreachable)")
    }

    @Test func `parley sessions reports errors on standard error, and prints no table`() async throws {
        let gateway = try await GatewayProcess()
        let directory = try TemporaryDirectory()
        func list(_ arguments: String...) async throws -> (status: Int32, lines: [String], errorLines: [String]) {
            try await GatewayProcess.run(["sessions", "list"] + arguments, directory: directory)
        }
        try directory.write("operations:\n  address: 127.0.0.1:\(gateway.operationsPort)\n", to: "elsewhere/gateway.yaml")
        let found = try await list("--config", "elsewhere")
        #expect(found.status == 0 && found.lines.count == 1 && found.lines[0].hasPrefix("SESSION"), "\(found)")
        try directory.write("operations:\n  adress: x\n", to: "broken/gateway.yaml")
        let broken = try await list("--config", "broken")
        #expect(broken.status == 78 && broken.lines.isEmpty && broken.errorLines.contains { $0.contains("adress") }, "\(broken)")
        // A server that isn't an operations listener, here the TLS listener.
        let strange = try await list("--address", "127.0.0.1:\(gateway.port)")
        #expect(strange.status != 0 && strange.lines.isEmpty && strange.errorLines.count == 1, "\(strange)")
        #expect(!strange.errorLines.joined().contains("Error"), "\(strange)")
        let token = try await list("--config", "elsewhere", "--token-file", "missing")
        #expect(token.status == 1 && token.errorLines == ["missing: No such file or directory"], "\(token)")
        for wrong in [["--state", "asleep"], ["--limit", "-1"], ["--format", "xml"]] {
            let rejected = try await GatewayProcess.run(["sessions", "list", "--config", "elsewhere"] + wrong, directory: directory)
            #expect(rejected.status == 64 && rejected.lines.isEmpty && !rejected.errorLines.isEmpty, "\(wrong)")
        }
    }
}
