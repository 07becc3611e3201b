// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore

/// One attempt on a shared connection.
///
/// The request is written once the socket is writable. If the attempt is cancelled before that, nothing is sent.
final class MultiplexAttempt: UpstreamAttempt {
    let request: UpstreamRequest
    private let reporter: AttemptReporter
    var number: UInt64 = 0
    /// Set to nil when the attempt ends. Not weak, for the reason given in ``UpstreamSocketHandler``.
    var connection: MultiplexConnection?
    /// Whether the attempt is in its connection's write queue.
    var isQueued = false
    /// Whether the request itself was written, so that it may have reached the upstream.
    private(set) var isRequestWritten = false
    private var stream = ResponseStream()
    private var isEnded = false
    private var isPaused = false
    /// The pause state last sent to the upstream.
    private var sentPauseState = false
    private var waiting: Deque<[UInt8]> = []
    private var hasInputEnded = false
    private var hasSentEnd = false

    init(_ request: consuming UpstreamRequest, reporter: AttemptReporter) {
        self.request = request
        self.reporter = reporter
    }

    /// Reports that the connection is open.
    func opened() { if !isEnded { reporter.opened() } }

    func send(_ chunk: [UInt8]) {
        guard !isEnded, !hasInputEnded else { return }
        waiting.append(chunk)
        connection?.enqueue(self)
    }

    func endInput() {
        guard !isEnded, !hasInputEnded else { return }
        hasInputEnded = true
        connection?.enqueue(self)
    }

    func pause() { setPaused(true) }
    func resume() { setPaused(false) }

    private func setPaused(_ paused: Bool) {
        guard !isEnded, isPaused != paused else { return }
        isPaused = paused
        if isRequestWritten { connection?.enqueue(self) }
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isEnded else { return }
        var fields = ",\"reason\":\"\(reason.rawValue)\""
        if let playedMilliseconds { fields += ",\"played_ms\":\(playedMilliseconds)" }
        writeCancel(fields)
        detach()
    }

    /// Writes `cancel` immediately, even to a socket that isn't writable, since there is at most one for each written request.
    private func writeCancel(_ fields: String) { if isRequestWritten { write("cancel", fields) } }

    private func write(_ type: String, _ fields: String = "") {
        connection?.write(Array("{\"type\":\"\(type)\",\"request\":\(number)\(fields)}".utf8))
    }

    private func detach() {
        isEnded = true
        waiting = []
        connection?.remove(number)
        connection = nil
    }

    // MARK: From the connection

    /// Whether the attempt has a message to write.
    var hasMore: Bool {
        guard !isEnded else { return false }
        return !isRequestWritten || isPaused != sentPauseState || !waiting.isEmpty || (hasInputEnded && !hasSentEnd)
    }

    /// Writes one message. To be called when the socket is writable.
    func writeNext() {
        guard !isEnded, let connection else { return }
        if !isRequestWritten {
            isRequestWritten = true
            connection.write(request, number: number)
            reporter.requestSent()
            if !isEnded { sendRecording(of: request) }
        } else if isPaused != sentPauseState {
            sentPauseState = isPaused
            write(isPaused ? "pause" : "resume")
        } else if let chunk = waiting.popFirst() {
            connection.write(chunk, of: number)
            if request.isStreamed { reporter.consumed(chunk.count) }
        } else if hasInputEnded, !hasSentEnd, request.isStreamed || request.isRecording {
            hasSentEnd = true
            write("audio", ",\"final\":true")
        }
    }

    func receive(_ message: consuming UpstreamMessage, bytes: Int) {
        guard !isEnded else { return }
        reporter.read(bytes)
        guard !isEnded else { return }
        do throws(ResponseFault) {
            if case .chunk = message.body { throw ResponseFault("chunk messages aren't allowed; audio belongs in binary messages") }
            try stream.receive(message, handle)
        } catch {
            fault(.unusable(error))
        }
    }

    func receive(chunk: [UInt8]) {
        guard !isEnded else { return }
        reporter.read(chunk.count)
        guard !isEnded else { return }
        do throws(ResponseFault) {
            handle(.event(try stream.receive(chunk: chunk)))
        } catch {
            fault(.unusable(error))
        }
    }

    private func handle(_ step: ResponseStream.Step) {
        guard !isEnded else { return }
        switch step {
        case .event(let content): reporter.received(content)
        case .last(let content, let summary):
            detach()
            reporter.received(last: content, summary: summary)
        case .failed(let retryable, let retryAfter): fail(.reported(retryable: retryable, retryAfter: retryAfter))
        case .chunk: break
        }
    }

    /// Fails the attempt because the upstream violated the protocol, and sends `cancel` to the upstream.
    func fault(_ failure: CallFailure) {
        guard !isEnded else { return }
        writeCancel(",\"reason\":\"fault\"")
        fail(failure)
    }

    func fail(_ failure: CallFailure) {
        guard !isEnded else { return }
        detach()
        reporter.failed(failure)
    }
}
