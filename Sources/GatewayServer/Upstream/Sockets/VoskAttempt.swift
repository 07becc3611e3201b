// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayAudio
import GatewayCore
import NIOCore

/// The transport of a `vosk` upstream: one connection per stream.
final class VoskTransport: UpstreamTransport {
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

/// One audio stream to a server that uses vosk-server's protocol.
///
/// The gateway sends the sample rate, mono samples and the end mark. The server responds to each chunk with a partial result or, at the end
/// of an utterance, its result, and to the end mark with the last result.
private final class VoskAttempt: UpstreamAttempt, SocketOwner {
    /// Exactly these spaces: vosk-server compares the message as a string (`process_chunk` in websocket/asr_server.py).
    private static let endMark = Array("{\"eof\" : 1}".utf8)

    private let request: UpstreamRequest
    private let pool: UpstreamPool
    private let reporter: AttemptReporter
    private var format = AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)
    private var connecting: ConnectAttempt?
    private var socket: UpstreamSocketHandler?
    private var isEnded = false
    private var isPaused = false
    /// Chunks that wait for the socket, with their size before conversion in bytes.
    private var waiting: Deque<(samples: [UInt8], count: Int)> = []
    private var hasInputEnded = false
    private var hasSentEnd = false
    private var sentCount = 0
    private var resultCount = 0
    /// The last event if the server closes after fewer results than chunks; nil until a final result follows the end mark.
    private var fallbackEvent: UpstreamEvent.Content?

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
            (failure.isRetryable, failure.mayHaveBeenProcessed, failure.outcome) = (false, false, .neither)
            isEnded = true
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
        reporter.requestSent()
        if !isEnded { sendRecording(of: request) }
    }

    func send(_ chunk: [UInt8]) {
        guard !isEnded, !hasInputEnded, let samples = MonoSamples.convert(chunk, format) else { return }
        waiting.append((samples, chunk.count))
        write()
    }

    func endInput() {
        guard !isEnded, !hasInputEnded else { return }
        hasInputEnded = true
        write()
    }

    private func write() {
        guard let socket else { return }
        while socket.isWritable, let (samples, count) = waiting.popFirst() {
            sentCount += 1
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
        guard !isEnded else { return }
        reporter.read(text.byteCount)
        guard !isEnded else { return }
        let result: VoskResponse
        do throws(ResponseFault) {
            result = try VoskResponse(text)
        } catch {
            return fail(.unusable(error))
        }
        resultCount += 1
        let content = UpstreamEvent.Content.transcript(
            result.text, final: result.isFinal, confidence: result.confidence, startMilliseconds: result.startMilliseconds,
            endMilliseconds: result.endMilliseconds)
        if hasSentEnd, result.isFinal, resultCount > sentCount { return finish(content) }
        // Results of earlier utterances and partial results are reported unless they are empty.
        if !result.text.isEmpty { reporter.received(content) }
        if hasSentEnd, result.isFinal {
            fallbackEvent = .transcript([], final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil)
        }
    }

    func socket(binary: RawSpan) { fail(.unusable(ResponseFault("a binary message from a vosk server"))) }

    func socketClosed(_ failure: CallFailure?) {
        guard !isEnded else { return }
        // A server that responds to several chunks at once sends fewer results than chunks. Its final result after the end mark was the
        // last.
        if failure == nil, let fallbackEvent { return finish(fallbackEvent) }
        fail(failure ?? .incompleteResponse("closed before the last result"))
    }

    private func finish(_ content: UpstreamEvent.Content) {
        close()
        reporter.received(last: content, summary: ResponseSummary())
    }

    private func fail(_ failure: CallFailure) {
        guard !isEnded else { return }
        close()
        reporter.failed(failure)
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) { if !isEnded { close() } }

    private func close() {
        isEnded = true
        waiting = []
        connecting?.cancel()
        connecting = nil
        guard let socket else { return }
        pool.count { $0.connections -= 1 }
        socket.close()
        self.socket = nil
    }
}
