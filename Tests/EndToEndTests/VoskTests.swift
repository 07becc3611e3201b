// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// A double of vosk-server behind the real executable.
@Suite(.bounded) struct VoskTests {
    private static let sound = [UInt8](repeating: 1, count: 3200)
    /// Half a second of silence at 16 kHz, which ends an utterance.
    private static let pause = [UInt8](repeating: 0, count: 16_000)

    private func transcribe(_ chunks: [[UInt8]], with client: TestWebSocket, id: String) async throws -> CollectedResponse {
        try await client.send([
            "type": "audio", "id": .string(id), "format": ["codec": "pcm16", "rate": 16_000, "channels": 1], "meta": ["to": "vosk"],
        ])
        for chunk in chunks { try await client.send(binary: chunk) }
        try await client.send(["type": "audio", "id": .string(id), "final": true])
        return try await client.collectResponse(to: id)
    }

    private func finals(_ response: CollectedResponse) -> [String?] {
        response.messages.filter { $0["type"] == "transcript" && $0["final"] == true }.map { $0["text"].string }
    }

    @Test func `a final transcript is delivered, and the server receives no malformed message`() async throws {
        let double = try await UpstreamDouble("vosk")
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": "vosk", "upstreams.a.urls": "ws://127.0.0.1:\(double.port)", "upstreams.a.retries": "0",
            "routes.a.upstreams": "a",
        ])
        let client = try await gateway.client()
        for number in 1...3 {
            let response = try await transcribe([Self.sound, Self.sound], with: client, id: "u\(number)")
            #expect(finals(response) == ["6400 bytes"])
            #expect(response.last["done"] == true && response.last["confidence"].number != nil)
        }
        #expect(try double.events.filter { $0["event"] == "malformed" }.isEmpty)
        try await gateway.stop()
    }

    @Test func `each utterance is a final transcript, and the remaining audio is the last one`() async throws {
        let client = try await UpstreamGateway.shared().client()
        let response = try await transcribe(
            [Self.sound, Self.pause, Self.sound, Self.sound, Self.pause, Self.sound], with: client, id: "u1")
        #expect(finals(response) == ["19200 bytes", "22400 bytes", "3200 bytes"])
        #expect(response.messages.filter { $0["done"] == true }.count == 1)
    }

    @Test func `an utterance that ends with the last chunk leaves an empty last transcript`() async throws {
        let client = try await UpstreamGateway.shared().client()
        let response = try await transcribe([Self.sound, Self.pause], with: client, id: "u1")
        #expect(finals(response) == ["19200 bytes", ""])
        #expect(response.last["done"] == true)
    }

    @Test(arguments: [1, 3])
    func `the first of several alternatives is the transcript`(count: Int) async throws {
        let client = try await UpstreamGateway.shared().client()
        let response = try await transcribe(
            [Array("alternatives \(count)\0\0".utf8) + Self.sound, Self.pause, Self.sound], with: client, id: "u1")
        #expect(finals(response).count == 2 && finals(response).last == "3200 bytes")
        #expect(response.last["confidence"].isNull && response.last["end_ms"].integer == 1000)
        #expect(response.last["done"] == true)
    }
}
