import DequeModule
import GatewayCore

/// One request on a shared connection.
///
/// It is written when the socket takes bytes. Cancelled before that, nothing of it is sent.
final class MultiplexAttempt: UpstreamAttempt {
    let request: UpstreamRequest
    private let reporter: AttemptReporter
    var number: UInt64 = 0
    /// Let go of at the end. Not weak: see ``UpstreamSocketHandler``.
    var connection: MultiplexConnection?
    /// Whether it is among those of its connection that have something to write.
    var isQueued = false
    /// The request itself is written, so that it may have reached the upstream.
    private(set) var hasBegun = false
    private var stream = AnswerStream()
    private var isOver = false
    private var isPaused = false
    /// As the upstream was told.
    private var isToldPaused = false
    private var waiting: Deque<[UInt8]> = []
    private var hasInputEnded = false
    private var hasSentEnd = false

    init(_ request: consuming UpstreamRequest, reporter: AttemptReporter) {
        self.request = request
        self.reporter = reporter
    }

    /// There is a connection.
    func opened() { if !isOver { reporter.opened() } }

    func send(_ chunk: [UInt8]) {
        guard !isOver, !hasInputEnded else { return }
        waiting.append(chunk)
        connection?.enqueue(self)
    }

    func endInput() {
        guard !isOver, !hasInputEnded else { return }
        hasInputEnded = true
        connection?.enqueue(self)
    }

    func pause() { setPaused(true) }
    func resume() { setPaused(false) }

    private func setPaused(_ paused: Bool) {
        guard !isOver, isPaused != paused else { return }
        isPaused = paused
        if hasBegun { connection?.enqueue(self) }
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isOver else { return }
        var fields = ",\"reason\":\"\(reason.rawValue)\""
        if let playedMilliseconds { fields += ",\"played_ms\":\(playedMilliseconds)" }
        writeCancel(fields)
        leave()
    }

    /// At once, also to a socket that takes nothing at the moment: there is one at most for each request that was written.
    private func writeCancel(_ fields: String) { if hasBegun { write("cancel", fields) } }

    private func write(_ type: String, _ fields: String = "") {
        connection?.write(Array("{\"type\":\"\(type)\",\"request\":\(number)\(fields)}".utf8))
    }

    private func leave() {
        isOver = true
        waiting = []
        connection?.remove(number)
        connection = nil
    }

    // MARK: From the connection

    /// Whether it has something to write.
    var hasMore: Bool {
        guard !isOver else { return false }
        return !hasBegun || isPaused != isToldPaused || !waiting.isEmpty || (hasInputEnded && !hasSentEnd)
    }

    /// Writes one message. To be called when the socket takes bytes.
    func writeNext() {
        guard !isOver, let connection else { return }
        if !hasBegun {
            hasBegun = true
            connection.write(request, number: number)
            reporter.connected()
            if !isOver { sendRecording(of: request) }
        } else if isPaused != isToldPaused {
            isToldPaused = isPaused
            write(isPaused ? "pause" : "resume")
        } else if let chunk = waiting.popFirst() {
            connection.write(chunk, of: number)
            if request.isStreamed { reporter.consumed(chunk.count) }
        } else if hasInputEnded, !hasSentEnd, request.isStreamed || request.isRecording {
            hasSentEnd = true
            write("audio", ",\"final\":true")
        }
    }

    func take(_ message: consuming AnswerMessage, bytes: Int) {
        guard !isOver else { return }
        reporter.read(bytes)
        guard !isOver else { return }
        do throws(AnswerFault) {
            if case .chunk = message.body { throw AnswerFault("audio comes in binary messages here") }
            try stream.take(message, pass)
        } catch {
            fault(.unusable(error))
        }
    }

    func take(chunk: [UInt8]) {
        guard !isOver else { return }
        reporter.read(chunk.count)
        guard !isOver else { return }
        do throws(AnswerFault) {
            pass(.event(try stream.take(chunk: chunk)))
        } catch {
            fault(.unusable(error))
        }
    }

    private func pass(_ step: AnswerStream.Step) {
        guard !isOver else { return }
        switch step {
        case .event(let content): reporter.received(content)
        case .last(let content, let summary):
            leave()
            reporter.received(last: content, summary: summary)
        case .failed(let retryable, let retryAfter): fail(.reported(retryable: retryable, retryAfter: retryAfter))
        case .chunk: break
        }
    }

    /// It breaks the protocol: the upstream is told that nobody listens any more.
    func fault(_ failure: CallFailure) {
        guard !isOver else { return }
        writeCancel(",\"reason\":\"fault\"")
        fail(failure)
    }

    func fail(_ failure: CallFailure) {
        guard !isOver else { return }
        leave()
        reporter.failed(failure)
    }
}
