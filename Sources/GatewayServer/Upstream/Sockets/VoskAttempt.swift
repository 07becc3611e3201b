import DequeModule
import GatewayAudio
import GatewayCore
import NIOCore

/// Makes a connection for each stream.
final class VoskMaker: UpstreamTransport {
    private let connector: SocketConnector
    private let pool: UpstreamPool

    init(connector: SocketConnector, pool: UpstreamPool) {
        self.connector = connector
        self.pool = pool
    }

    func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt {
        let attempt = VoskAttempt(copy request, pool: pool, reporter: reporter)
        attempt.begin(connector, endpoint: endpoint)
        return attempt
    }
}

/// One stream to a server that speaks vosk-server's protocol: its rate, samples of one channel, the end mark; each chunk is answered by a partial
/// result or, where the server detects an endpoint, by the result of an utterance, the end mark by the last result.
private final class VoskAttempt: UpstreamAttempt, SocketOwner {
    /// With these blanks: vosk-server compares the message as a string (`process_chunk` in websocket/asr_server.py).
    private static let endMark = Array("{\"eof\" : 1}".utf8)

    private let request: UpstreamRequest
    private let pool: UpstreamPool
    private let reporter: AttemptReporter
    private var format = AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)
    private var connecting: ConnectAttempt?
    private var socket: UpstreamSocketHandler?
    private var isOver = false
    private var isPaused = false
    /// Chunks that the socket doesn't take at the moment, and how many bytes they came as.
    private var waiting: Deque<(samples: [UInt8], count: Int)> = []
    private var hasInputEnded = false
    private var hasSentEnd = false
    private var sent = 0
    private var answered = 0
    private var last: UpstreamEvent.Content?

    init(_ request: consuming UpstreamRequest, pool: UpstreamPool, reporter: AttemptReporter) {
        self.request = request
        self.pool = pool
        self.reporter = reporter
    }

    func begin(_ connector: SocketConnector, endpoint: Int) {
        switch request.input {
        case .audio(let format), .recording(let format, _): self.format = format
        case .text: break
        }
        guard !request.isText, MonoSamples.convert([], format) != nil else {
            var failure = CallFailure(.codecUnsupportedByRoute)
            (failure.isRetryable, failure.hasReached, failure.outcome) = (false, false, .neither)
            isOver = true
            return reporter.failed(failure)
        }
        connecting = connector.connect(endpoint: endpoint, owner: self) { [weak self] socket in
            self?.socket = socket
        } failed: { [weak self] failure in
            self?.fail(failure)
        }
    }

    func socketOpened() {
        connecting = nil
        socket?.setPaused(isPaused)
        pool.count { $0.connections += 1 }
        var config = Array("{\"config\":{\"sample_rate\":".utf8)
        config.append(decimal: format.rate)
        config += "}}".utf8
        socket?.write(text: config)
        reporter.connected()
        if !isOver { sendRecording(of: request) }
    }

    func send(_ chunk: [UInt8]) {
        guard !isOver, !hasInputEnded, let samples = MonoSamples.convert(chunk, format) else { return }
        waiting.append((samples, chunk.count))
        write()
    }

    func endInput() {
        guard !isOver, !hasInputEnded else { return }
        hasInputEnded = true
        write()
    }

    private func write() {
        guard let socket else { return }
        while socket.isWritable, let (samples, count) = waiting.popFirst() {
            sent += 1
            socket.write(binary: samples)
            if !request.isRecording { reporter.consumed(count) }
        }
        guard hasInputEnded, waiting.isEmpty, !hasSentEnd else { return }
        hasSentEnd = true
        socket.write(text: Self.endMark)
    }

    func socketIsWritable() { write() }

    func pause() { setPaused(true) }
    func resume() { setPaused(false) }

    private func setPaused(_ paused: Bool) {
        isPaused = paused
        socket?.setPaused(paused)
    }

    func socket(text: RawSpan) {
        guard !isOver else { return }
        reporter.read(text.byteCount)
        guard !isOver else { return }
        let answer: VoskAnswer
        do throws(AnswerFault) {
            answer = try VoskAnswer(text)
        } catch {
            return fail(.unusable(error))
        }
        answered += 1
        let content = UpstreamEvent.Content.transcript(
            answer.text, final: answer.isFinal, confidence: answer.confidence, startMilliseconds: answer.startMilliseconds,
            endMilliseconds: answer.endMilliseconds)
        if hasSentEnd, answer.isFinal, answered > sent { return finish(content) }
        // An utterance that had ended before, and partial results as long as there is something in them.
        if !answer.text.isEmpty { reporter.received(content) }
        if hasSentEnd, answer.isFinal { last = .transcript([], final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil) }
    }

    func socket(binary: RawSpan) { fail(.unusable(AnswerFault("a binary message of a recogniser"))) }

    func socketClosed(_ failure: CallFailure?) {
        guard !isOver else { return }
        // One that answers several chunks at once has said its last all the same.
        if failure == nil, let last { return finish(last) }
        fail(failure ?? .brokenOff("closed before the last result"))
    }

    private func finish(_ content: UpstreamEvent.Content) {
        close()
        reporter.received(last: content, summary: AnswerSummary())
    }

    private func fail(_ failure: CallFailure) {
        guard !isOver else { return }
        close()
        reporter.failed(failure)
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) { if !isOver { close() } }

    private func close() {
        isOver = true
        waiting = []
        connecting?.cancel()
        connecting = nil
        guard let socket else { return }
        pool.count { $0.connections -= 1 }
        socket.close()
        self.socket = nil
    }
}
