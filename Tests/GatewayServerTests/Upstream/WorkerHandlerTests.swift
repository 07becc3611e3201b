// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import GatewayServer

/// Unusable output of a worker process, and its exit.
@Suite struct WorkerHandlerTests {
    private final class Pipes {
        let channel = EmbeddedChannel()
        let handler: WorkerHandler
        private var number: UInt64 = 0

        init(ignoresBanner: Bool = false) throws {
            let recorder = Recorder()
            self.recorder = recorder
            handler = WorkerHandler(limit: 1000, ignoresBanner: ignoresBanner) {
                recorder.add("unusable")
            } report: {
                recorder.add("report: \($0)")
            }
            try channel.pipeline.syncOperations.addHandler(handler)
            channel.connect(to: try SocketAddress(unixDomainSocketPath: "/x"), promise: nil)
        }

        private let recorder: Recorder

        /// Begins the next request.
        func begin() {
            number += 1
            let recorder = recorder
            handler.begin(number, line: Array("{}\n".utf8)) { event in
                switch event {
                case .ready: recorder.add("ready")
                case .read: break
                case .step(.last): recorder.add("end")
                case .step: recorder.add("step")
                case .consumed, .checkpoint: break
                case .failed(let failure):
                    recorder.add(
                        "failed: \(failure.details ?? failure.reason.message)\(failure.mayHaveBeenProcessed ? "" : ", not reached")")
                    recorder.outcome = failure.outcome
                case .stale(let reason): recorder.add("stale: \(reason)")
                }
            }
        }

        func write(_ text: String) throws {
            channel.pipeline.fireChannelRead(ByteBuffer(string: text))
            handler.allowNextRead()
        }

        func respond() throws { try write("{\"type\":\"text\",\"request\":\(number),\"text\":\"a\",\"final\":true,\"done\":true}\n") }

        func take() -> [String] { recorder.take() }
        var outcome: CircuitBreaker.Outcome? { recorder.outcome }
    }

    private final class Recorder: Sendable {
        private let lines = Mutex<(lines: [String], outcome: CircuitBreaker.Outcome?)>(([], nil))
        func add(_ line: String) { lines.withLock { $0.lines.append(line) } }
        func take() -> [String] {
            lines.withLock { state in
                defer { state.lines = [] }
                return state.lines
            }
        }
        var outcome: CircuitBreaker.Outcome? {
            get { lines.withLock { $0.outcome } }
            set { lines.withLock { $0.outcome = newValue } }
        }
    }

    @Test(arguments: [
        ("Loading…\n", #""Loading…""#), ("[1,2]\n", #""[1,2]""#), ("7\r\n", #""7\u{D}""#), ("\u{1B}[31m\"red\\\n", #""\u{1B}[31m\"red\\""#),
        (String(repeating: "x", count: 81) + "\n", "\"" + String(repeating: "x", count: 80) + "…\" (81 bytes)"),
    ])
    func `a line that isn't JSON fails the request with an excerpt as the reason`(line: String, shown: String) throws {
        let pipes = try Pipes()
        pipes.begin()
        try pipes.write(line)
        #expect(pipes.take() == ["ready", "failed: a line isn't a JSON object: \(shown)", "unusable"])
        #expect(pipes.outcome == .neither)
    }

    @Test func `output before the first request is reported and fails that request`() throws {
        let pipes = try Pipes()
        try pipes.write("Loading\nmore\n")
        #expect(pipes.take() == ["report: unsolicited output: \"Loading\"", "unusable"])
        pipes.begin()
        #expect(pipes.take() == ["failed: unsolicited output: \"Loading\", not reached", "unusable"])
    }

    @Test func `output between requests is reported; the next request moves to another process`() throws {
        let pipes = try Pipes()
        pipes.begin()
        try pipes.respond()
        #expect(pipes.take() == ["ready", "end"])
        try pipes.write("served 1 request\n")
        #expect(pipes.take() == ["report: unsolicited output: \"served 1 request\"", "unusable"])
        pipes.begin()
        #expect(pipes.take() == ["stale: unsolicited output: \"served 1 request\"", "unusable"])
    }

    @Test func `an ignored banner ends with the first JSON object`() throws {
        let pipes = try Pipes(ignoresBanner: true)
        try pipes.write("Loading\n\u{7}\n[1]\nhal")
        pipes.begin()
        try pipes.write("f\n\n")
        try pipes.respond()
        #expect(pipes.take() == ["ready", "end"])
        pipes.begin()
        try pipes.write("Loading\n")
        #expect(pipes.take() == ["ready", "failed: a line isn't a JSON object: \"Loading\"", "unusable"])
    }

    @Test func `a banner over 256 KiB fails the request`() throws {
        let pipes = try Pipes(ignoresBanner: true)
        pipes.begin()
        for _ in 0..<512 { try pipes.write(String(repeating: "x", count: 511) + "\n") }
        #expect(pipes.take() == ["ready"])
        try pipes.write("x")
        #expect(pipes.take() == ["failed: the banner is longer than 262144 bytes", "unusable"])
    }

    @Test func `an unsolicited JSON object isn't a banner`() throws {
        let pipes = try Pipes(ignoresBanner: true)
        try pipes.write("{\"level\":\"info\"}\n")
        #expect(pipes.take() == ["report: unsolicited output: \"{\\\"level\\\":\\\"info\\\"}\"", "unusable"])
    }

    @Test func `when a reused process exits without output, its request moves to another process`() throws {
        let pipes = try Pipes()
        pipes.begin()
        try pipes.respond()
        pipes.begin()
        _ = pipes.take()
        pipes.channel.pipeline.fireChannelInactive()
        #expect(pipes.take() == ["stale: the process has ended", "unusable"])
    }

    @Test func `a process that exits during its response or before its first one fails the request`() throws {
        for hasServed in [false, true] {
            let pipes = try Pipes()
            if hasServed {
                pipes.begin()
                try pipes.respond()
            }
            pipes.begin()
            if hasServed { try pipes.write("{") }
            _ = pipes.take()
            pipes.channel.pipeline.fireChannelInactive()
            #expect(pipes.take() == ["failed: the process has ended", "unusable"])
            #expect(pipes.outcome == .failure)
        }
    }

    @Test func `the pipe of an exited process is read before the request fails`() throws {
        let pipes = try Pipes()
        pipes.begin()
        pipes.channel.read()
        _ = pipes.take()
        pipes.handler.processExited()
        try pipes.write("{\"type\":\"text\",\"request\":1,\"text\":\"a\"}\n")
        pipes.channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
        #expect(pipes.take() == ["step"])
        pipes.channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
        #expect(pipes.take().first == "failed: the process has ended")
    }

    @Test func `an exited process isn't closed while reading is paused`() throws {
        let pipes = try Pipes()
        pipes.begin()
        pipes.handler.setPaused(true)
        pipes.channel.read()
        pipes.handler.processExited()
        pipes.channel.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(pipes.take() == ["ready"])
        pipes.handler.setPaused(false)
        pipes.channel.embeddedEventLoop.advanceTime(by: .milliseconds(200))
        #expect(pipes.take().first == "failed: the process has ended")
    }

    @Test func `an exited idle process accepts no request`() throws {
        let pipes = try Pipes()
        pipes.begin()
        try pipes.respond()
        pipes.handler.processExited()
        #expect(pipes.take() == ["ready", "end", "unusable"])
        pipes.begin()
        #expect(pipes.take() == ["stale: the process has ended", "unusable"])
    }
}
