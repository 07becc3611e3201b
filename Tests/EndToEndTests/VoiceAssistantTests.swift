// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The voice assistant example of the README: a real STT service, a chat server and espeak-ng behind the gateway.
@Suite(.bounded) struct VoiceAssistantTests {
    /// Runs `deploy/examples/voice-assistant.sh`.
    private func ask(_ question: String, _ arguments: [String] = [], into directory: TemporaryDirectory) async throws -> JSON {
        let result = try await ChildProcess.run(
            "/bin/bash",
            [Repository.path + "/deploy/examples/voice-assistant.sh", "--ask", question, "--out", directory.path + "/answer.wav"]
                + arguments,
            directory: directory.path,
            environment: ["PARLEY_EXECUTABLE": try GatewayProcess.executable(), "PARLEY_LISTEN_ADDRESS": "127.0.0.1:0"],
            timeout: .seconds(90))
        #expect(result.status == 0, "\(result.errorLines.suffix(20))")
        return try JSON(try #require(result.lines.last, "\(result.errorLines.suffix(20))"))
    }

    private static func words(_ text: String) -> Set<String> {
        Set(text.lowercased().split { !$0.isLetter }.map(String.init))
    }

    @Test(arguments: [[], ["--live"]])
    func `a spoken question is transcribed, and gets a spoken response`(arguments: [String]) async throws {
        let directory = try TemporaryDirectory()
        let question = "what is your name"
        let response = try await ask(question, arguments, into: directory)
        let transcribed = Self.words(response["transcript"].string ?? "").intersection(Self.words(question))
        #expect(transcribed.count * 2 >= Self.words(question).count, "\(response)")
        let text = try #require(response["answer"].string)
        #expect(!text.isEmpty)
        // Speech takes about a third of a second per word; the bounds are wide.
        let seconds = try #require(response["audio_seconds"].number)
        let words = Double(text.split(separator: " ").count)
        #expect((0.1 * words...1.5 * words).contains(seconds), "\(response)")
        let file = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/answer.wav"))
        #expect(file.prefix(4).elementsEqual("RIFF".utf8))
        let rate = try #require(response["rate"].integer)
        // Whole 16-bit samples of one channel.
        #expect(abs(Double(file.count - 44) / 2 / Double(rate) - seconds) < 0.01)
        #expect(response["timing"]["gateway"]["total_ms"].number != nil)
    }

    @Test(arguments: [
        ("emoji", "Parrot, and I follow a few simple rules. 😀"), ("markdown", "| text | yes |"), ("hindi", "नमस्ते, मैं एक तोता हूँ।"),
    ])
    func `a response with an emoji, in Markdown or in Hindi is spoken`(style: String, part: String) async throws {
        let directory = try TemporaryDirectory()
        let response = try await ask("what is your name", ["--style", style], into: directory)
        #expect(response["answer"].string?.contains(part) == true, "\(response)")
        #expect((response["audio_seconds"].number ?? 0) > 1, "\(response)")
    }
}
