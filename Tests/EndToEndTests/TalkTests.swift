// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// `parley talk` in scripts.
@Suite(.bounded) struct TalkTests {
    private func talk(_ arguments: [String], directory: TemporaryDirectory? = nil) async throws -> (
        status: Int32, lines: [String], errorLines: [String]
    ) {
        try await GatewayProcess.run(["talk"] + arguments, directory: try directory ?? TemporaryDirectory())
    }

    @Test func `help lists the options and the exit codes`() async throws {
        let help = try await talk(["--help"])
        #expect(help.status == 0)
        for option in ["--insecure", "--text", "--audio", "--timeout", "--speak", "--resolve", "--reconnect", "--history"] {
            #expect(help.lines.contains { $0.contains(option) })
        }
        #expect(help.lines.contains { $0.contains("Exit codes") })
    }

    @Test func `the response to a text is on standard output`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let result = try await talk(["wss://localhost:\(gateway.port)/v1/ws", "--insecure", "--text", "hello there", "--quiet"])
        #expect(result.status == 0, "\(result)")
        #expect(result.lines.contains { $0.contains("hello there") })
        #expect(result.errorLines.isEmpty)
    }

    @Test func `a recording is streamed and measured`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let directory = try TemporaryDirectory()
        try TestRecording.write(seconds: 1, to: directory.path + "/tone.wav")
        let result = try await talk(
            ["wss://localhost:\(gateway.port)", "--insecure", "--audio", "tone.wav", "--fast", "--json"], directory: directory)
        #expect(result.status == 0, "\(result)")
        #expect(result.lines.contains { $0.contains("1.0 s of pcm16 at 16000 Hz, peak -6.0 dBFS, 100 % speech") })
    }

    @Test func `synthesized speech is measured exactly`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let directory = try TemporaryDirectory()
        let sentence = "Good morning. Is anybody at the door, or is it only the wind?"
        let made = try await ChildProcess.run("/usr/bin/espeak-ng", ["-w", "speech.wav", sentence], directory: directory.path)
        #expect(made.status == 0, "deploy/test.sh installs espeak-ng: \(made.errorLines)")
        // espeak-ng writes 22,050 Hz mono after a header of 44 bytes.
        let bytes = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/speech.wav")).dropFirst(44)
        let samples = stride(from: bytes.startIndex, to: bytes.endIndex - 1, by: 2).map {
            Int16(bitPattern: UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8)
        }
        let seconds = String(format: "%.1f", Double(samples.count) / 22050)
        let peak = String(format: "%.1f", 20 * log10(Double(samples.map { abs(Int($0)) }.max() ?? 1) / 32768))
        let result = try await talk(
            ["wss://localhost:\(gateway.port)", "--insecure", "--audio", "speech.wav", "--fast"], directory: directory)
        #expect(result.status == 0, "\(result)")
        #expect(result.lines.contains { $0.hasPrefix("\(seconds) s of pcm16 at 22050 Hz, peak \(peak) dBFS, ") }, "\(result.lines)")
    }

    @Test func `each kind of failure has its exit code`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let url = "wss://localhost:\(gateway.port)"
        #expect(try await talk(["--nonsense"]).status == 2)
        #expect(try await talk([url, "--insecure", "--audio", "missing.wav"]).status == 2)
        // The system doesn't trust the development certificate.
        #expect(try await talk([url, "--text", "x"]).status == 3)
        #expect(try await talk(["ws://127.0.0.1:1", "--text", "x", "--timeout", "5s"]).status == 3)
        #expect(try await talk([url + "/nowhere", "--insecure", "--text", "x"]).status == 4)
        #expect(try await talk([url, "--insecure", "--text", "\u{1}"]).status == 5)
        let authority = gateway.directory.path + "/var/development-cert.pem"
        #expect(try await talk([url, "--ca", authority, "--text", "x"]).status == 0)
    }

    /// Runs a shell command in which `$talk` is `parley talk` with the URL of a gateway.
    private func shell(_ line: String) async throws -> (status: Int32, lines: [String], errorLines: [String]) {
        let gateway = try await SharedGateways.withoutLimits()
        let directory = try TemporaryDirectory()
        let talk = "\(try GatewayProcess.executable()) talk wss://localhost:\(gateway.port) --insecure --quiet"
        return try await ChildProcess.run("/bin/bash", ["-c", line], directory: directory.path, environment: ["talk": talk])
    }

    @Test(arguments: ["\u{4}", "\u{3}", "\u{4}\u{3}"])
    func `control characters in piped input are data, not commands`(character: String) async throws {
        let escaped = character.unicodeScalars.map { "\\x0\($0.value)" }.joined()
        let result = try await shell("printf 'one\\n\(escaped)\\ntwo\(escaped)\\nthree' | $talk")
        // The gateway rejects a text of control characters only; within a text they are removed.
        #expect(result.status == 5 && result.lines == ["one", "two", "three"], "\(result)")
        #expect(result.errorLines.count == 1 && result.errorLines[0].contains("reply to t2"), "\(result)")
    }

    @Test func `lines of piped input can have any length`() async throws {
        let result = try await shell("head -c 90000 /dev/zero | tr '\\0' x | $talk")
        #expect(result.status == 0 && result.lines.map(\.utf8.count) == [90_000], "\(result.errorLines)")
    }

    @Test(
        arguments: [
            // With input left, with responses left, and with an input that stays open without further lines.
            "set -o pipefail; yes hello | $talk | head -1",
            "set -o pipefail; $talk $(printf -- '--text x %.0s' {1..300}) | head -1",
            "mkfifo in; exec 3<>in; echo hello >&3; ($talk < in; echo $? > status) | head -1; exit $(cat status)",
        ])
    func `a closed pipe on standard output ends the client with SIGPIPE`(line: String) async throws {
        let result = try await shell(line)
        #expect(result.status == 141 && result.lines.count <= 1 && result.errorLines.isEmpty, "\(result)")
    }

    @Test func `output that can't be written is an error`() async throws {
        let result = try await shell("$talk --text hello > /dev/full")
        #expect(result.status == 2 && result.errorLines == ["error: standard output: No space left on device"], "\(result)")
    }
}
