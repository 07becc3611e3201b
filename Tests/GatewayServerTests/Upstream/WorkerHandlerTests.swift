import GatewayCore
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import GatewayServer

/// Lines of a process that aren't answers, and its end.
@Suite struct WorkerHandlerTests {
    private final class Pipes {
        let channel = EmbeddedChannel()
        let handler: WorkerHandler
        private var number: UInt64 = 0

        init(ignoresBanner: Bool = false) throws {
            let said = Told()
            told = said
            handler = WorkerHandler(limit: 1000, ignoresBanner: ignoresBanner) {
                said.add("broken")
            } report: {
                said.add("report: \($0)")
            }
            try channel.pipeline.syncOperations.addHandler(handler)
            channel.connect(to: try SocketAddress(unixDomainSocketPath: "/x"), promise: nil)
        }

        private let told: Told

        /// The next request.
        func begin() {
            number += 1
            let told = told
            handler.begin(number, line: Array("{}\n".utf8)) { event in
                switch event {
                case .ready: told.add("ready")
                case .heard: break
                case .step(.last): told.add("end")
                case .step: told.add("step")
                case .took, .checkpoint: break
                case .failed(let failure):
                    told.add("failed: \(failure.details ?? failure.message)\(failure.hasReached ? "" : ", not reached")")
                    told.outcome = failure.outcome
                case .stale(let reason): told.add("stale: \(reason)")
                }
            }
        }

        func say(_ text: String) throws {
            channel.pipeline.fireChannelRead(ByteBuffer(string: text))
            handler.readOn()
        }

        func answer() throws { try say("{\"type\":\"text\",\"request\":\(number),\"text\":\"a\",\"final\":true,\"done\":true}\n") }

        func take() -> [String] { told.take() }
        var outcome: CircuitBreaker.Outcome? { told.outcome }
    }

    private final class Told: Sendable {
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
    func `a line that isn't JSON fails the request, and is told`(line: String, shown: String) throws {
        let pipes = try Pipes()
        pipes.begin()
        try pipes.say(line)
        #expect(pipes.take() == ["ready", "failed: a line isn't a JSON object: \(shown)", "broken"])
        #expect(pipes.outcome == .neither)
    }

    @Test func `a line before the first request is told with it`() throws {
        let pipes = try Pipes()
        try pipes.say("Loading\nmore\n")
        #expect(pipes.take() == ["report: unsolicited output: \"Loading\"", "broken"])
        pipes.begin()
        #expect(pipes.take() == ["failed: unsolicited output: \"Loading\", not reached", "broken"])
    }

    @Test func `a line between two requests is told, and the next goes to another process`() throws {
        let pipes = try Pipes()
        pipes.begin()
        try pipes.answer()
        #expect(pipes.take() == ["ready", "end"])
        try pipes.say("served 1 request\n")
        #expect(pipes.take() == ["report: unsolicited output: \"served 1 request\"", "broken"])
        pipes.begin()
        #expect(pipes.take() == ["stale: unsolicited output: \"served 1 request\"", "broken"])
    }

    @Test func `an ignored banner passes before and within the first request, and nothing behind the first object`() throws {
        let pipes = try Pipes(ignoresBanner: true)
        try pipes.say("Loading\n\u{7}\n[1]\nhal")
        pipes.begin()
        try pipes.say("f\n\n")
        try pipes.answer()
        #expect(pipes.take() == ["ready", "end"])
        pipes.begin()
        try pipes.say("Loading\n")
        #expect(pipes.take() == ["ready", "failed: a line isn't a JSON object: \"Loading\"", "broken"])
    }

    @Test func `a banner without end is given up`() throws {
        let pipes = try Pipes(ignoresBanner: true)
        pipes.begin()
        for _ in 0..<512 { try pipes.say(String(repeating: "x", count: 511) + "\n") }
        #expect(pipes.take() == ["ready"])
        try pipes.say("x")
        #expect(pipes.take() == ["failed: the banner is longer than 262144 bytes", "broken"])
    }

    @Test func `an object that nobody asked for isn't a banner`() throws {
        let pipes = try Pipes(ignoresBanner: true)
        try pipes.say("{\"level\":\"info\"}\n")
        #expect(pipes.take() == ["report: unsolicited output: \"{\\\"level\\\":\\\"info\\\"}\"", "broken"])
    }

    @Test func `a process that ends without a byte hasn't got to the request if it had served before`() throws {
        let pipes = try Pipes()
        pipes.begin()
        try pipes.answer()
        pipes.begin()
        _ = pipes.take()
        pipes.channel.pipeline.fireChannelInactive()
        #expect(pipes.take() == ["stale: the process has ended", "broken"])
    }

    @Test func `a process that ends within its answer, or has never served, has failed`() throws {
        for hasServed in [false, true] {
            let pipes = try Pipes()
            if hasServed {
                pipes.begin()
                try pipes.answer()
            }
            pipes.begin()
            if hasServed { try pipes.say("{") }
            _ = pipes.take()
            pipes.channel.pipeline.fireChannelInactive()
            #expect(pipes.take() == ["failed: the process has ended", "broken"])
            #expect(pipes.outcome == .failure)
        }
    }

    @Test func `what a process that is no more has left in its pipe is heard, and then it has ended`() throws {
        let pipes = try Pipes()
        pipes.begin()
        pipes.channel.read()
        _ = pipes.take()
        pipes.handler.processEnded()
        try pipes.say("{\"type\":\"text\",\"request\":1,\"text\":\"a\"}\n")
        pipes.channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
        #expect(pipes.take() == ["step"])
        pipes.channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
        #expect(pipes.take().first == "failed: the process has ended")
    }

    @Test func `a process that is no more isn't given up while its output isn't read`() throws {
        let pipes = try Pipes()
        pipes.begin()
        pipes.handler.setPaused(true)
        pipes.channel.read()
        pipes.handler.processEnded()
        pipes.channel.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(pipes.take() == ["ready"])
        pipes.handler.setPaused(false)
        pipes.channel.embeddedEventLoop.advanceTime(by: .milliseconds(200))
        #expect(pipes.take().first == "failed: the process has ended")
    }

    @Test func `an idle process that is no more takes no request`() throws {
        let pipes = try Pipes()
        pipes.begin()
        try pipes.answer()
        pipes.handler.processEnded()
        #expect(pipes.take() == ["ready", "end", "broken"])
        pipes.begin()
        #expect(pipes.take() == ["stale: the process has ended", "broken"])
    }
}
