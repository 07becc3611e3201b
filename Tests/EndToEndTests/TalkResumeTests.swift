// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// `parley talk` with a scripted gateway: slow or failing gateways and networks, resuming, and spoken responses.
@Suite(.bounded) struct TalkResumeTests {
    private static let gateway = (#filePath as NSString).deletingLastPathComponent + "/Clients/scripted_gateway.py"

    private struct Result {
        var status: Int32
        var lines: [String]
        var errorLines: [String]
        /// The upgrade request of each connection, and the messages of the client.
        var received: [JSON]
    }

    private func play(
        _ scene: String, _ arguments: [String], directory: TemporaryDirectory? = nil, environment: [String: String] = [:],
        url: String? = nil
    ) async throws -> Result {
        let directory = try directory ?? TemporaryDirectory()
        let gateway = try ChildProcess(try Python.path(), [Self.gateway, scene], directory: directory.path)
        let port = await gateway.output.wait(timeout: .seconds(20)) { $0.lines.first }
        let address = (url ?? "ws://127.0.0.1:PORT").replacingOccurrences(of: "PORT", with: port ?? "")
        let talk = try await GatewayProcess.run(
            ["talk", address] + arguments.map { $0.replacingOccurrences(of: "PORT", with: port ?? "") }, directory: directory,
            environment: environment, timeout: .seconds(60))
        gateway.signal(SIGKILL)
        _ = try await gateway.exit()
        return Result(
            status: talk.status, lines: talk.lines, errorLines: talk.errorLines,
            received: try gateway.lines.dropFirst().map { try JSON($0) })
    }

    @Test(arguments: [("drip", "slow"), ("thinking", "thought over")])
    func `any received byte extends the timeout of a response`(scene: String, text: String) async throws {
        let result = try await play(scene, ["--text", "hello", "--timeout", "1s"])
        #expect(result.status == 0 && result.lines == [text], "\(result)")
    }

    @Test func `pings alone extend the timeout only up to its maximum`() async throws {
        let result = try await play("pings", ["--text", "hello", "--timeout", "300ms"])
        #expect(result.status == 6 && result.errorLines.last == "error: no response to t1 within 300ms", "\(result)")
    }

    @Test func `a text without an ack is sent again, and the response continues where it was interrupted`() async throws {
        let result = try await play("unacknowledged", ["--text", "hello"])
        #expect(result.status == 0 && result.lines == ["first second"], "\(result)")
        let openings = result.received.filter { $0["target"] != .null }
        #expect(openings.map { $0["target"] } == ["/v1/ws", "/v1/ws?last_seq=0", "/v1/ws?last_seq=1"])
        #expect(openings.map { $0["resume"] } == [.null, "token1", "token2"])
        let texts = result.received.filter { $0["message"]["type"] == "text" }
        #expect(texts.map { $0["connection"] } == [1, 2] && texts.allSatisfy { $0["message"]["id"] == "t1" })
        #expect(result.errorLines.filter { $0.hasSuffix("resumed") }.count == 2)
    }

    @Test func `a text whose ack was lost gets one response`() async throws {
        let result = try await play("duplicate", ["--text", "hello"])
        #expect(result.status == 0 && result.lines == ["once"], "\(result)")
    }

    @Test func `an expired session is reported, and the conversation continues in a new one`() async throws {
        let result = try await play("expired", ["--text", "lost", "--text", "hello"])
        #expect(result.status == 5 && result.lines == ["of the new one"], "\(result)")
        #expect(result.errorLines.contains("session not resumed: expired; a new session was opened"))
        #expect(result.errorLines.contains("error: t1: lost with the previous session; send the request again"))
    }

    @Test func `with --reconnect 0s a lost connection ends the conversation`() async throws {
        let result = try await play("unacknowledged", ["--text", "hello", "--reconnect", "0s"])
        #expect(result.status == 7 && result.lines.isEmpty && result.received.count { $0["target"] != .null } == 1, "\(result)")
    }

    @Test func `a recording continues after a lost connection without lost or repeated chunks`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let proxy = try await DisconnectingProxy(port: gateway.port)
        let directory = try TemporaryDirectory()
        try TestRecording.write(seconds: 3, to: directory.path + "/tone.wav")
        let talk = try ChildProcess(
            try GatewayProcess.executable(), ["talk", "wss://localhost:\(proxy.port)", "--insecure", "--audio", "tone.wav", "--json"],
            directory: directory.path)
        func message(_ matches: @Sendable (JSON) -> Bool) async throws -> JSON {
            let found: JSON? = await talk.output.wait(timeout: .seconds(30)) { output in
                output.lines.lazy.compactMap { try? JSON($0) }.first(where: matches)
            }
            guard let found else { throw TestFailure("message not received: \(talk.lines) \(talk.errorLines)") }
            return found
        }
        // The connection is lost in the middle of the recording, and again right after the resume.
        _ = try await message { $0["type"] == "ack" && $0["chunks"] != .null && $0["chunks"] != 0 }
        await proxy.resetConnections()
        let resumed = try await message { $0["resumed"] == true }
        #expect(resumed["open_audio"]["id"] == "a1" && resumed["lost"] == false)
        await proxy.resetConnections()
        let transcript = try await message { $0["type"] == "transcript" }
        #expect(transcript["text"].string?.hasPrefix("3.0 s of pcm16 at 16000 Hz, peak -6.0 dBFS") == true, "\(transcript)")
        #expect(try await talk.exit() == 0 && talk.errorLines.filter { $0 == "resumed" }.count == 2, "\(talk.errorLines)")
        await proxy.stop()
    }

    @Test func `spoken responses are written to one valid WAV file`() async throws {
        let directory = try TemporaryDirectory()
        // A longer existing file is truncated.
        try Data(repeating: 7, count: 5000).write(to: URL(fileURLWithPath: directory.path + "/out.wav"))
        let result = try await play("spoken", ["--speak", "out.wav", "--text", "a", "--text", "b"], directory: directory)
        #expect(result.status == 0 && result.lines == ["spoken", "spoken"], "\(result)")
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.path + "/out.wav")))
        func number(_ offset: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) } }
        // 500 and 11 whole samples.
        #expect(bytes.count == 44 + 1022 && number(4) == bytes.count - 8 && number(40) == 1022 && number(24) == 22050)
        #expect(bytes[44...45] == [1, 0] && bytes[(44 + 1000)...(44 + 1001)] == [3, 0] && bytes[1064...] == [4, 0])
    }

    @Test func `spoken responses are played as they arrive`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write(
            "#!/bin/sh\necho \"$*\" >> \(directory.path)/played.txt\ncat >> \(directory.path)/played.raw\n", to: "bin/aplay")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory.path + "/bin/aplay")
        let environment = ["PATH": directory.path + "/bin:/usr/bin:/bin"]
        let result = try await play("spoken", ["--text", "a", "--text", "b", "--speak"], directory: directory, environment: environment)
        #expect(result.status == 0, "\(result)")
        let call = "-q -t raw -f S16_LE -r 22050 -c 1 -\n"
        #expect(try directory.read("played.txt") == call + call)
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.path + "/played.raw")).count == 1001 + 23)
    }

    @Test func `a missing player and a response without audio are errors`() async throws {
        let directory = try TemporaryDirectory()
        // A PATH that contains no player, only the tools that start the processes.
        for tool in ["setpriv", "env"] {
            try FileManager.default.createDirectory(atPath: directory.path + "/bin", withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: directory.path + "/bin/\(tool)", withDestinationPath: "/usr/bin/\(tool)")
        }
        let none = try await play(
            "spoken", ["--speak", "--text", "a"], directory: directory, environment: ["PATH": directory.path + "/bin"])
        #expect(none.status == 2 && none.errorLines.contains { $0.contains("neither paplay nor aplay") }, "\(none)")
        let mute = try await play("silent", ["--speak", "out.wav", "--text", "a"], directory: directory)
        #expect(mute.status == 5 && mute.lines == ["no sound"] && mute.errorLines.last?.hasPrefix("error: no audio received") == true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.path + "/out.wav")).count == 44)
    }

    @Test func `the transcript goes to standard error, and the response to standard output`() async throws {
        let directory = try TemporaryDirectory()
        try TestRecording.write(seconds: 0.1, to: directory.path + "/tone.wav")
        let result = try await play("transcribed", ["--audio", "tone.wav"], directory: directory)
        #expect(result.status == 0 && result.lines == ["ten past nine"], "\(result)")
        #expect(result.errorLines.contains("transcript: what time is it") && result.errorLines.contains("… what"))
    }

    @Test func `--resolve replaces the resolution of a name`() async throws {
        for resolve in ["gateway.invalid:PORT:127.0.0.1", "*:PORT:[::1],127.0.0.1"] {
            let result = try await play(
                "silent", ["--text", "a", "--resolve", resolve], url: "ws://gateway.invalid:PORT/v1/ws")
            #expect(result.status == 0 && result.lines == ["no sound"], "\(result)")
            #expect(result.received.first?["host"].string?.hasPrefix("gateway.invalid:") == true)
        }
        for wrong in ["gateway.invalid", "gateway.invalid:0:127.0.0.1", "gateway.invalid:1:nowhere"] {
            #expect(try await play("silent", ["--text", "a", "--resolve", wrong]).status == 2, "\(wrong)")
        }
    }
}
