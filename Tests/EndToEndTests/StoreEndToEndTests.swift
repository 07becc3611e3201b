// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The embedded store with the real executable: after SIGKILL, on a full disk, and with a damaged file.
@Suite(.bounded) struct StoreEndToEndTests {
    private static let stored = ["store.kind": "sqlite", "store.path": "sessions.sqlite", "limits.text_per_minute": "0"]

    private func start(_ directory: TemporaryDirectory, _ flags: [String: String] = [:]) async throws -> GatewayProcess {
        try await GatewayProcess(Self.stored.merging(flags) { $1 }, directory: directory)
    }

    private func resume(_ gateway: GatewayProcess, _ session: JSON, after last: Int) async throws -> (TestWebSocket, JSON) {
        let fields = [("Parley-Resume", session["resume_token"].string ?? "")]
        let client = try await gateway.webSocket(.upgrade("/v1/ws?last_seq=\(last)", adding: fields))
        return (client, try await client.message())
    }

    @Test func `a conversation survives SIGKILL of the gateway`() async throws {
        let directory = try TemporaryDirectory()
        var gateway = try await start(directory, ["listen.loops": "2"])
        var client = try await gateway.webSocket()
        var session = try await client.message("session")
        let id = session["session_id"]
        var last = 0
        try await client.send(["type": "audio", "id": "u", "format": ["codec": "pcm16", "rate": 16000, "channels": 1]])
        var chunks = 0
        for round in 0..<8 {
            let text: JSON = ["type": "text", "id": .string("m\(round)"), "text": .string("answer \(round)"), "stream": false]
            try await client.send(text)
            for _ in 0..<70 { try await client.send(binary: [1, 0]) }
            // Killed at once, after the text is acknowledged, or after chunks are.
            var wasAcknowledged = false
            if round % 3 > 0 {
                while true {
                    let message = try await client.message()
                    if message["type"] == "text" { last = max(last, message["seq"].integer ?? 0) }
                    guard message["type"] == "ack" else { continue }
                    if message["id"] == text["id"] { wasAcknowledged = true }
                    if message["id"] == "u" { chunks = max(chunks, message["chunks"].integer ?? 0) }
                    if round % 3 == 1, wasAcknowledged { break }
                    if round % 3 == 2, chunks >= 70 * (round - 1) / 2 { break }
                }
            }
            gateway.signal(SIGKILL)
            _ = try await gateway.process.exit()
            gateway = try await start(directory, ["listen.loops": "2"])
            (client, session) = try await resume(gateway, session, after: last)
            #expect(session["type"] == "session" && session["session_id"] == id, "\(session)")
            #expect(session["resumed"] == true && session["lost"] == false)
            // No acknowledged chunk is lost.
            #expect((session["open_audio"]["chunks"].integer ?? -1) >= chunks || (round == 0 && session["open_audio"] == .null))
            if session["open_audio"] == .null {
                try await client.send(["type": "audio", "id": "u", "format": ["codec": "pcm16", "rate": 16000, "channels": 1]])
            } else {
                chunks = session["open_audio"]["chunks"].integer ?? 0
                try await client.send(["type": "audio", "id": "u", "from": .number(Double(chunks + 1))])
            }
            try await client.send(text)
            var isDuplicate = false
            var isComplete = false
            while !isComplete || (wasAcknowledged && !isDuplicate) {
                let message = try await client.message()
                if message["id"] == text["id"] { isDuplicate = message["duplicate"] == true }
                guard message["type"] == "text" else {
                    if last > round { isComplete = true }
                    continue
                }
                #expect(message["seq"].integer == last + 1 && message["text"].string == "answer \(last)")
                last += 1
                isComplete = last > round
            }
            #expect(!wasAcknowledged || isDuplicate)
        }
        #expect(last == 8)
    }

    @Test func `the token of an ended session is rejected as expired after a restart`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory)
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        // SIGTERM instead of SIGKILL, because the end of a session may be committed shortly after the close frame.
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit() == 0)
        let next = try await start(directory)
        let (_, response) = try await resume(next, session, after: 0)
        #expect(response["resume_error"] == "expired", "\(response.without("limits"))")
    }

    @Test(arguments: ["full", "normal", "off"])
    func `store synchronous is applied, and the file has mode 0600`(synchronous: String) async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory, ["store.synchronous": synchronous])
        try await gateway.expectNextClientServed()
        let line = try await gateway.line("the store is open")
        #expect(line["synchronous"].string == synchronous)
        let mode = try FileManager.default.attributesOfItem(atPath: directory.path + "/sessions.sqlite")[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test func `a full store rejects requests until there is space`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await start(directory, ["store.max_bytes": "300KB"])
        let large = String(repeating: "x", count: 60_000)
        var clients: [TestWebSocket] = []
        // A text that doesn't fit gets no ack, and new clients are rejected.
        for _ in 0..<12 {
            let ready = try await gateway.operationsResponse(to: HTTPRequestText("/readyz"))
            if ready.status == 503 {
                #expect(ready.body.contains("store.max_bytes"))
                break
            }
            guard let client = try? await gateway.client() else { continue }
            try await client.send(["type": "text", "id": "a", "text": .string(large), "stream": false])
            clients.append(client)
            _ = try? await client.text(timeout: .seconds(3))
        }
        let rejected = try await gateway.response(to: .upgrade())
        #expect(rejected.status == 503 && rejected.body.contains("overloaded"))
        for client in clients.dropLast() { try await client.send(["type": "bye"]) }
        _ = try await gateway.line("commits to the store succeed again")
        try await gateway.expectNextClientServed()
    }

    @Test func `a message whose commit fails on a full disk is rejected, and accepted once there is space`() async throws {
        let directory = try TemporaryDirectory()
        let gateway = try await GatewayProcess(Self.stored, directory: directory, fileBytes: 400_000)
        let client = try await gateway.client()
        let large = String(repeating: "x", count: 30_000)
        func text(_ number: Int) -> JSON { ["type": "text", "id": .string("m\(number)"), "text": .string(large), "stream": false] }
        var number = 0
        var error = JSON.null
        while error.isNull, number < 40 {
            number += 1
            try await client.send(text(number))
            let first = try await client.message()
            if first["type"] == "error" { error = first["error"] } else { #expect(try await client.message()["type"] == "text") }
        }
        #expect(error["code"] == "overloaded" && error["reply_to"] == text(number)["id"] && error["retryable"] == true)
        #expect(error["retry_after_ms"].integer ?? 0 > 0)
        // While the disk is full, further messages are rejected, and new clients get 503.
        try await client.send(text(number))
        #expect(try await client.message()["error"]["code"] == "overloaded")
        #expect(try await gateway.response(to: .upgrade()).status == 503)
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/readyz")).status == 503)
        try await gateway.liftFileSizeLimit()
        _ = try await gateway.line("commits to the store succeed again")
        try await client.send(text(number))
        #expect(try await client.message() == ["type": "ack", "id": text(number)["id"]])
        let response = try await client.message()
        #expect(response["reply_to"] == text(number)["id"] && response["text"].string == large)
        try await gateway.expectNextClientServed()
        try await gateway.stop()
    }

    @Test func `with a full disk at startup the gateway isn't ready, and serves once there is space`() async throws {
        let directory = try TemporaryDirectory()
        let before = try await start(directory)
        let client = try await before.client()
        try await client.send(["type": "text", "id": "a", "text": "kept", "stream": false])
        #expect(try await client.message()["type"] == "ack")
        before.signal(SIGKILL)
        _ = try await before.process.exit()
        let gateway = try await GatewayProcess(Self.stored, directory: directory, fileBytes: 0)
        _ = try await gateway.line("commits to the store fail; retrying")
        let ready = try await gateway.operationsResponse(to: HTTPRequestText("/readyz"))
        #expect(ready.status == 503)
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/livez")).status == 200)
        #expect(try await gateway.response(to: .upgrade()).status == 503)
        try await gateway.liftFileSizeLimit()
        _ = try await gateway.line("commits to the store succeed again")
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/readyz")).status == 200)
        let sessions = try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions")).json()["sessions"]
        #expect(sessions.array?.count == 1)
        try await gateway.expectNextClientServed()
        try await gateway.stop()
    }

    @Test func `a full disk at the first startup, before the store exists, exits with 75`() async throws {
        let directory = try TemporaryDirectory()
        // The first start creates the development certificate.
        let first = try await GatewayProcess([:], directory: directory)
        try await first.stop()
        let command = GatewayProcess.limited(
            [try GatewayProcess.executable(), "serve"] + GatewayProcess.arguments(Self.stored), fileBytes: 0)
        let result = try await ChildProcess.run(command[0], Array(command.dropFirst()), directory: directory.path)
        #expect(result.status == 75, "\(result.lines)")
        #expect(result.lines.contains { $0.contains("sessions.sqlite") })
        let next = try await start(directory)
        try await next.expectNextClientServed()
        try await next.stop()
    }

    @Test func `damage in the write-ahead log is reported as a warning at startup, and the gateway serves`() async throws {
        let directory = try TemporaryDirectory()
        let before = try await start(directory)
        try await before.expectNextClientServed()
        before.signal(SIGKILL)
        _ = try await before.process.exit()
        let url = URL(fileURLWithPath: directory.path + "/sessions.sqlite-wal")
        var log = try Data(contentsOf: url)
        try #require(log.count > 4152)
        log[1000] ^= 1
        try log.write(to: url)
        let gateway = try await start(directory)
        let line = try await gateway.line("the store is damaged: the most recent commits are lost")
        #expect(line["level"] == "warning" && line["problem"].string?.contains("page 1 of the write-ahead log") == true, "\(line)")
        try await gateway.expectNextClientServed()
        try await gateway.stop()
    }

    @Test func `a file that isn't a store, or is open in another process, exits with 78`() async throws {
        let directory = try TemporaryDirectory()
        try Data(repeating: 0x41, count: 9000).write(to: URL(fileURLWithPath: directory.path + "/sessions.sqlite"))
        let flags = GatewayProcess.arguments(Self.stored)
        let result = try await GatewayProcess.run(["serve"] + flags, directory: directory)
        #expect(result.status == 78 && result.lines.contains { $0.contains("not an SQLite file") && $0.contains("sessions.sqlite") })
        let other = try TemporaryDirectory()
        let gateway = try await start(other)
        let second = try await GatewayProcess.run(["serve"] + flags, directory: other)
        #expect(second.status == 78 && second.lines.contains { $0.contains("another process has it open") })
        try await gateway.expectNextClientServed()
    }
}
