// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The audit log of the real executable, and `parley audit verify`.
@Suite(.bounded) struct AuditTests {
    private func start(_ directory: TemporaryDirectory, _ flags: [String: String] = [:], fileBytes: Int? = nil) async throws
        -> GatewayProcess
    {
        try await GatewayProcess(["audit.path": "audit.log"].merging(flags) { $1 }, directory: directory, fileBytes: fileBytes)
    }

    private func records(_ directory: TemporaryDirectory, _ file: String = "audit.log") throws -> [JSON] {
        // A partial line isn't JSON.
        try directory.read(file).split(separator: "\n").compactMap { try? JSON(String($0)) }
    }

    /// Waits until the file has a matching record.
    private func record(_ directory: TemporaryDirectory, where matches: (JSON) -> Bool) async throws -> JSON {
        for _ in 0..<400 {
            if let found = try? records(directory).first(where: matches) { return found }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw TestFailure("no such record: \(try directory.read("audit.log").suffix(2000))")
    }

    private func verify(_ directory: TemporaryDirectory, _ arguments: String...) async throws -> (status: Int32, lines: [String]) {
        let result = try await GatewayProcess.run(["audit", "verify"] + arguments, directory: directory)
        return (result.status, result.lines + result.errorLines)
    }

    @Test func `connections, limits and operators leave records without text and tokens`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory, ["limits.text_per_minute": "4", "operations.token": "open-sesame"])
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        let id = session["session_id"]
        for number in 0..<5 { try await client.send(["type": "text", "id": .string("m\(number)"), "text": "private words"]) }
        var request = HTTPRequestText("/v1/sessions/\(id.string ?? "")/close", method: "POST")
        #expect(try await gateway.operationsResponse(to: request).status == 401)
        request.fields.append(("Authorization", "Bearer open-sesame"))
        #expect(try await gateway.operationsResponse(to: request).status == 204)
        let closed = try await record(directory) { $0["event"] == "close" }
        #expect(closed["code"] == 4507 && closed["session"] == id)
        let all = try records(directory)
        #expect(all.first?["event"] == "begin" && all.first?["reason"] == "start" && all.first?["seq"] == 1)
        let connect = try #require(all.first { $0["event"] == "connect" })
        #expect(connect["session"] == id && connect["from"].string?.hasPrefix("127.0.0.1:") == true && connect["path"] == "/v1/ws")
        #expect(all.contains { $0["event"] == "limit" && $0["code"] == "rate_limited" && $0["session"] == id })
        #expect(all.contains { $0["event"] == "refuse" && $0["listener"] == "operations" && $0["status"] == 401 })
        let action = try #require(all.first { $0["event"] == "operator" })
        #expect(action["who"] == "operator" && action["from"] == "127.0.0.1" && action["session"] == id && action["status"] == 204)
        let text = try directory.read("audit.log")
        for secret in ["private words", "open-sesame", session["resume_token"].string ?? "?"] { #expect(!text.contains(secret)) }
        var page = HTTPRequestText("/v1/audit?limit=2&from=2020-01-01", method: "GET")
        page.fields.append(("Authorization", "Bearer open-sesame"))
        let first = try JSON(try await gateway.operationsResponse(to: page).body)
        #expect(first["records"].array?.compactMap { $0["seq"].integer } == [1, 2])
        page.target = "/v1/audit?limit=1000&cursor=\(first["cursor"].string ?? "")"
        let second = try JSON(try await gateway.operationsResponse(to: page).body)
        #expect(second["records"][0]["seq"] == 3 && second["cursor"] == .null)
        for wrong in ["from=2&to=1", "from=x", "to=x", "cursor=x", "limit=0", "limit=1001", "cursor=1-1"] {
            page.target = "/v1/audit?\(wrong)"
            #expect(try await gateway.operationsResponse(to: page).status == 400, "\(wrong)")
        }
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit() == 0)
        #expect(try records(directory).last?["event"] == "stop")
        let attributes = try FileManager.default.attributesOfItem(atPath: directory.path + "/audit.log")
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let result = try await verify(directory, "audit.log")
        #expect(result.status == 0 && result.lines.first?.contains("records verified") == true, "\(result.lines)")
    }

    @Test func `a takeover and a resume are recorded`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory)
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        let fields = [("Parley-Resume", session["resume_token"].string ?? "")]
        let other = try await gateway.webSocket(.upgrade("/v1/ws?last_seq=0", adding: fields))
        _ = try await other.message("session")
        let resumed = try await record(directory) { $0["event"] == "resume" }
        let taken = try await record(directory) { $0["event"] == "take_over" }
        #expect(resumed["session"] == session["session_id"] && taken["session"] == session["session_id"])
        #expect(resumed["connection"] != taken["connection"])
        try await gateway.stop()
    }

    @Test func `a failed handshake is recorded with its reason, a connection that only closes isn't`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory)
        await (try await TestSocket.connect(port: gateway.port, .none)).reset()
        let socket = try await TestSocket.connect(port: gateway.port, .none)
        try await socket.send([0x16, 0x03, 0x01, 0x00, 0x05] + [UInt8](repeating: 0xAA, count: 600))
        try await socket.waitForEnd()
        let failed = try await record(directory) { $0["event"] == "handshake_failure" }
        #expect(failed["reason"] == "malformed" && failed["error"].string?.hasPrefix("TLS handshake failed: ") == true, "\(failed)")
        #expect(failed["from"].string?.hasPrefix("127.0.0.1:") == true && failed["connection"] != .null && failed["session"] == .null)
        #expect(try records(directory).count { $0["event"] == "handshake_failure" } == 1)
        try await gateway.stop()
    }

    @Test(arguments: [true, false])
    func `a takeover that times out is recorded, with and without a connection`(isAttached: Bool) async throws {
        let directory = try TemporaryDirectory()
        let flags = [
            "supervision.takeover_timeout": "300ms", "operations.tokens.coach.secret": "secret-of-the-coach",
            "operations.tokens.coach.rights": "supervise",
        ]
        let gateway = try await start(directory, flags)
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"]
        if !isAttached {
            await client.socket.reset()
            _ = try await record(directory) { $0["event"] == "close" }
        }
        var request = HTTPRequestText("/v1/sessions/\(id.string ?? "")/takeover", method: "POST")
        request.fields.append(("Authorization", "Bearer secret-of-the-coach"))
        #expect(try await gateway.operationsResponse(to: request).status == 200)
        let ended = try await record(directory) { $0["event"] == "hand_back" }
        #expect(ended["who"] == "coach" && ended["session"] == id && ended["reason"] == "takeover_timeout", "\(ended)")
        #expect(ended["from"] == .null && ended["connection"] == .null)
        #expect(try records(directory).count { $0["event"] == "hand_back" } == 1)
        try await gateway.stop()
        #expect(try await verify(directory, "audit.log").status == 0)
    }

    @Test func `the chain continues after SIGKILL, and a partial line is explained`() async throws {
        let directory = try TemporaryDirectory()
        var gateway = try await start(directory)
        _ = try await gateway.client()
        _ = try await record(directory) { $0["event"] == "connect" }
        try await gateway.stop()
        #expect(try await verify(directory, "audit.log").status == 0)
        let whole = try directory.read("audit.log")
        _ = try directory.write(whole + #"{"seq":3,"at":17"#, to: "audit.log")
        var result = try await verify(directory, "audit.log")
        #expect(result.status == 3 && result.lines.contains { $0.contains("16 bytes after the last whole record") }, "\(result.lines)")
        gateway = try await start(directory)
        _ = try await record(directory) { $0["event"] == "recover" && $0["partial_bytes"] == 16 }
        _ = try await gateway.line("partial audit record found")
        _ = try await gateway.client()
        try await gateway.stop()
        result = try await verify(directory, "audit.log")
        #expect(result.status == 0, "\(result.lines)")
        // The partial line is protected by the record that explains it.
        _ = try directory.write(
            try directory.read("audit.log").replacingOccurrences(of: #""at":17"# + "\n", with: #""at":18"# + "\n"), to: "audit.log")
        #expect(try await verify(directory, "audit.log").status == 1)
    }

    @Test func `a changed, a removed and a reordered record are found`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory)
        for _ in 0..<3 { _ = try await gateway.client() }
        gateway.signal(SIGTERM)
        _ = try await gateway.exit()
        let lines = try directory.read("audit.log").split(separator: "\n").map(String.init)
        let variants: [(String, [String], String)] = [
            ("changed", lines.map { $0.replacingOccurrences(of: #""seq":2,"#, with: #""seq":2 ,"#) }, "line 2"),
            ("edited", lines.map { $0.replacingOccurrences(of: "\"connect\"", with: "\"refuse_\"") }, "was changed"),
            ("removed", lines.enumerated().filter { $0.offset != 2 }.map(\.element), "record 3 is missing"),
            ("reordered", [lines[0], lines[2], lines[1]] + lines[3...], "record 2 is out of order"),
        ]
        for (name, changed, expected) in variants {
            _ = try directory.write(changed.joined(separator: "\n") + "\n", to: name)
            let result = try await verify(directory, name)
            #expect(result.status == 1 && result.lines.contains { $0.contains(expected) }, "\(name): \(result.lines)")
        }
        let last = try JSON(lines.last ?? "")["hash"].string ?? ""
        _ = try directory.write(lines.dropLast().joined(separator: "\n") + "\n", to: "truncated")
        #expect(try await verify(directory, "truncated").status == 0)
        #expect(try await verify(directory, "truncated", "--to-hash", last).status == 1)
        #expect(try await verify(directory, "audit.log", "--to-hash", last).status == 0)
        #expect(try await verify(directory, "missing").status == 66)
        #expect(try await verify(directory, "audit.log", "--from-hash", "x").status == 64)
    }

    @Test func `SIGHUP begins a new file that continues the chain`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory)
        _ = try await gateway.client()
        _ = try await record(directory) { $0["event"] == "connect" }
        try FileManager.default.moveItem(atPath: directory.path + "/audit.log", toPath: directory.path + "/audit.log.1")
        gateway.signal(SIGHUP)
        _ = try await record(directory) { $0["event"] == "configuration" && $0["reason"] == "SIGHUP" }
        let old = try records(directory, "audit.log.1")
        let new = try records(directory)
        #expect(new.first?["event"] == "begin" && new.first?["reason"] == "rotated" && new.first?["prev"] == old.last?["hash"])
        try await gateway.stop()
        let hash = old.last?["hash"].string ?? ""
        #expect(try await verify(directory, "audit.log.1", "audit.log").status == 0)
        #expect(try await verify(directory, "audit.log", "--from-hash", hash).status == 0)
        #expect(try await verify(directory, "audit.log", "audit.log.1").status == 1)
    }

    @Test func `on a full disk the gateway serves clients, reports a degraded part, and counts lost records`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory, ["audit.queue": "4"], fileBytes: 4096)
        var rounds = 0
        var health = ""
        while !health.contains("degraded"), rounds < 40 {
            rounds += 1
            let client = try await gateway.client()
            try await client.send(["type": "bye"])
            _ = try await client.expectClose(1000)
            health = try await gateway.operationsResponse(to: HTTPRequestText("/health")).body
        }
        #expect(
            health.contains(#""name":"audit","ready":true,"degraded":true"#) && health.contains("the audit file can't be written"),
            "\(health)")
        for _ in 0..<6 { try await gateway.expectNextClientServed() }
        #expect(try await verify(directory, "audit.log").status == 0)
        try await gateway.liftFileSizeLimit()
        let lost = try await record(directory) { $0["event"] == "dropped" }
        let count = lost["count"].integer ?? 0
        #expect(count > 0)
        let metrics = try await gateway.operationsResponse(to: HTTPRequestText("/metrics")).body
        let counted = metrics.firstMatch(of: /\nparley_audit_records_dropped_total (\d+)\n/).flatMap { Int($0.1) }
        #expect((counted ?? 0) >= count, "\(metrics)")
        gateway.signal(SIGTERM)
        _ = try await gateway.exit()
        #expect(try await verify(directory, "audit.log").status == 0)
    }
}
