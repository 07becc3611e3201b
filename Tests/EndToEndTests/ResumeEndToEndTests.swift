// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Sessions across lost connections, with the real executable.
@Suite(.bounded) struct ResumeEndToEndTests {
    private func resume(_ gateway: GatewayProcess, _ token: JSON, after last: Int? = nil) async throws -> (TestWebSocket, JSON) {
        let target = "/v1/ws" + (last.map { "?last_seq=\($0)" } ?? "")
        let client = try await gateway.webSocket(.upgrade(target, adding: [("Parley-Resume", token.string ?? "")]))
        return (client, try await client.message("session"))
    }

    @Test func `a conversation continues without loss across lost connections, on any event loop`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["listen.loops": "2", "limits.text_per_minute": "0"])
        var client = try await gateway.webSocket()
        var session = try await client.message("session")
        let id = session["session_id"]
        var (last, responses) = (0, [String]())
        for round in 0..<30 {
            try await client.send(["type": "text", "id": .string("m\(round)"), "text": .string("answer \(round)"), "stream": false])
            // The connection is lost before the response, after it, or in the middle of the next message.
            if round % 3 > 0 { while try await client.message()["id"] != .string("m\(round)") {} }
            if round % 3 == 2 { try await client.socket.send(TestFrame(TestFrame.text, text: "never whole").bytes.dropLast()) }
            await client.socket.reset()
            (client, session) = try await resume(gateway, session["resume_token"], after: last)
            #expect(session["session_id"] == id && session["resumed"] == true && session["lost"] == false)
            // The text is sent again with the same id, in case the first one was lost.
            try await client.send(["type": "text", "id": .string("m\(round)"), "text": .string("answer \(round)"), "stream": false])
            while last <= round {
                let message = try await client.message()
                guard message["type"] == "text" else { continue }
                #expect(message["seq"].integer == last + 1)
                last += 1
                responses.append(message["text"].string ?? "")
            }
            if round % 2 == 0 { try await client.send(["type": "ack", "seq": .number(Double(last))]) }
        }
        #expect(responses == (0..<30).map { "answer \($0)" })
    }

    @Test func `the first connection is closed with 4503 when a second one resumes`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["listen.loops": "2", "limits.text_per_minute": "0"])
        var client = try await gateway.webSocket()
        var session = try await client.message("session")
        for round in 0..<6 {
            let (next, resumed) = try await resume(gateway, session["resume_token"], after: round)
            #expect(resumed["session_id"] == session["session_id"])
            try await client.expectClose(4503)
            (client, session) = (next, resumed)
            try await client.send(["type": "text", "id": .string("m\(round)"), "text": "x"])
            #expect(try await client.message("ack")["duplicate"] == .null)
            #expect(try await client.message("text")["seq"].integer == round + 1)
        }
    }

    @Test func `a detached session expires after sessions resume_window`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["sessions.resume_window": "1s"])
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        await client.socket.reset()
        let line = try await gateway.line { $0["msg"] == "session ended" && $0["session_id"] == session["session_id"] }
        #expect(line["reason"] == "expired")
        let (_, next) = try await resume(gateway, session["resume_token"])
        #expect(next["resumed"] == false && next["resume_error"] == "expired" && next["session_id"] != session["session_id"])
    }

    @Test func `at max_detached other addresses are rejected, the same one evicts its session`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["sessions.max_detached": "1"])
        let client = try await gateway.webSocket()
        let session = try await client.message("session")
        try await client.send(["type": "text", "id": "a", "text": "x"])
        _ = try await client.message("ack")
        await client.socket.reset()
        _ = try await gateway.line { $0["msg"] == "session detached" && $0["session_id"] == session["session_id"] }
        let other = try? await gateway.client(from: "127.0.0.2")
        #expect(other == nil)
        let own = try await gateway.client()
        let (_, next) = try await resume(gateway, session["resume_token"])
        #expect(next["resumed"] == false && next["lost"] == true)
        withExtendedLifetime(own) {}
    }
}
