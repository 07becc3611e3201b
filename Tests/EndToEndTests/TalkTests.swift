import Foundation
import Support
import Testing

/// `parley talk` as a script uses it.
@Suite(.bounded) struct TalkTests {
    private func talk(_ arguments: [String], folder: TemporaryFolder? = nil) async throws -> (
        status: Int32, lines: [String], errorLines: [String]
    ) {
        try await GatewayProcess.run(["talk"] + arguments, folder: try folder ?? TemporaryFolder())
    }

    @Test func `help names the options and the exit codes`() async throws {
        let help = try await talk(["--help"])
        #expect(help.status == 0)
        for option in ["--insecure", "--text", "--audio", "--timeout"] { #expect(help.lines.contains { $0.contains(option) }) }
        #expect(help.lines.contains { $0.contains("Exit codes") })
    }

    @Test func `a text is answered on standard output`() async throws {
        let gateway = try await SharedGateways.roomy()
        let result = try await talk(["wss://localhost:\(gateway.port)/v1/ws", "--insecure", "--text", "hello there", "--quiet"])
        #expect(result.status == 0, "\(result)")
        #expect(result.lines.contains { $0.contains("hello there") })
        #expect(result.errorLines.isEmpty)
    }

    @Test func `a recording is streamed and measured`() async throws {
        let gateway = try await SharedGateways.roomy()
        let folder = try TemporaryFolder()
        // One second of a square wave at half scale, 16 kHz.
        let samples = (0..<16000).flatMap { $0 / 20 % 2 == 0 ? [0x00, 0x40] : [0x00, 0xC0] as [UInt8] }
        func little(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        var file = Array("RIFF".utf8) + little(36 + samples.count, 4) + Array("WAVEfmt ".utf8) + little(16, 4) + little(1, 2) + little(1, 2)
        file += little(16000, 4) + little(32000, 4) + little(2, 2) + little(16, 2) + Array("data".utf8) + little(samples.count, 4) + samples
        try Data(file).write(to: URL(fileURLWithPath: folder.path + "/tone.wav"))
        let result = try await talk(
            ["wss://localhost:\(gateway.port)", "--insecure", "--audio", "tone.wav", "--fast", "--json"], folder: folder)
        #expect(result.status == 0, "\(result)")
        #expect(result.lines.contains { $0.contains("1.0 s of pcm16 at 16000 Hz, peak -6.0 dBFS, 100 % speech") })
    }

    @Test func `speech is measured as what it is`() async throws {
        let gateway = try await SharedGateways.roomy()
        let folder = try TemporaryFolder()
        let sentence = "Good morning. Is anybody at the door, or is it only the wind?"
        let made = try await ChildProcess.run("/usr/bin/espeak-ng", ["-w", "speech.wav", sentence], folder: folder.path)
        #expect(made.status == 0, "deploy/test.sh installs espeak-ng: \(made.errorLines)")
        // espeak-ng writes 22,050 Hz mono behind a header of 44 bytes.
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/speech.wav")).dropFirst(44)
        let samples = stride(from: bytes.startIndex, to: bytes.endIndex - 1, by: 2).map {
            Int16(bitPattern: UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8)
        }
        let seconds = String(format: "%.1f", Double(samples.count) / 22050)
        let peak = String(format: "%.1f", 20 * log10(Double(samples.map { abs(Int($0)) }.max() ?? 1) / 32768))
        let result = try await talk(
            ["wss://localhost:\(gateway.port)", "--insecure", "--audio", "speech.wav", "--fast"], folder: folder)
        #expect(result.status == 0, "\(result)")
        #expect(result.lines.contains { $0.hasPrefix("\(seconds) s of pcm16 at 22050 Hz, peak \(peak) dBFS, ") }, "\(result.lines)")
    }

    @Test func `exit codes tell what went wrong`() async throws {
        let gateway = try await SharedGateways.roomy()
        let url = "wss://localhost:\(gateway.port)"
        #expect(try await talk(["--nonsense"]).status == 2)
        #expect(try await talk([url, "--insecure", "--audio", "missing.wav"]).status == 2)
        // The development certificate isn't known to the system.
        #expect(try await talk([url, "--text", "x"]).status == 3)
        #expect(try await talk(["ws://127.0.0.1:1", "--text", "x", "--timeout", "5s"]).status == 3)
        #expect(try await talk([url + "/nowhere", "--insecure", "--text", "x"]).status == 4)
        #expect(try await talk([url, "--insecure", "--text", "\u{1}"]).status == 5)
        let authority = gateway.folder.path + "/var/development-cert.pem"
        #expect(try await talk([url, "--ca", authority, "--text", "x"]).status == 0)
    }
}
