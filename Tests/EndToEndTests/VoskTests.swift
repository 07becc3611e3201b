import Support
import Testing

/// A recogniser that reads and answers messages as vosk-server does, behind the real executable.
@Suite(.bounded) struct VoskTests {
    private static let sound = [UInt8](repeating: 1, count: 3200)
    /// Half a second at 16 kHz, which is an endpoint behind sound.
    private static let pause = [UInt8](repeating: 0, count: 16_000)

    private func answer(to chunks: [[UInt8]], of client: WebSocketClient, id: String) async throws -> Answer {
        try await client.send([
            "type": "audio", "id": .string(id), "format": ["codec": "pcm16", "rate": 16_000, "channels": 1], "meta": ["to": "vosk"],
        ])
        for chunk in chunks { try await client.send(binary: chunk) }
        try await client.send(["type": "audio", "id": .string(id), "final": true])
        return try await client.answer(to: id)
    }

    private func finals(_ answer: Answer) -> [String?] {
        answer.messages.filter { $0["type"] == "transcript" && $0["final"] == true }.map { $0["text"].string }
    }

    @Test func `the final transcript comes, and the server finds nothing that it doesn't understand`() async throws {
        let double = try await UpstreamDouble("vosk")
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": "vosk", "upstreams.a.urls": "ws://127.0.0.1:\(double.port)", "upstreams.a.retries": "0",
            "routes.a.upstreams": "a",
        ])
        let client = try await gateway.client()
        for number in 1...3 {
            let answer = try await answer(to: [Self.sound, Self.sound], of: client, id: "u\(number)")
            #expect(finals(answer) == ["6400 bytes"])
            #expect(answer.last["done"] == true && answer.last["confidence"].number != nil)
        }
        #expect(try double.events.filter { $0["event"] == "malformed" }.isEmpty)
        try await gateway.stop()
    }

    @Test func `each utterance that the server ends is a final transcript, and the rest is the last`() async throws {
        let client = try await UpstreamGateway.shared().client()
        let answer = try await answer(
            to: [Self.sound, Self.pause, Self.sound, Self.sound, Self.pause, Self.sound], of: client, id: "u1")
        #expect(finals(answer) == ["19200 bytes", "22400 bytes", "3200 bytes"])
        #expect(answer.messages.filter { $0["done"] == true }.count == 1)
    }

    @Test func `an endpoint with the last chunk leaves an empty last transcript`() async throws {
        let client = try await UpstreamGateway.shared().client()
        let answer = try await answer(to: [Self.sound, Self.pause], of: client, id: "u1")
        #expect(finals(answer) == ["19200 bytes", ""])
        #expect(answer.last["done"] == true)
    }

    @Test(arguments: [1, 3])
    func `of alternatives the first is the transcript`(count: Int) async throws {
        let client = try await UpstreamGateway.shared().client()
        let answer = try await answer(
            to: [Array("alternatives \(count)\0\0".utf8) + Self.sound, Self.pause, Self.sound], of: client, id: "u1")
        #expect(finals(answer).count == 2 && finals(answer).last == "3200 bytes")
        #expect(answer.last["confidence"].isNull && answer.last["end_ms"].integer == 1000)
        #expect(answer.last["done"] == true)
    }
}
