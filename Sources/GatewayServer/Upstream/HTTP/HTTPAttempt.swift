import GatewayCore
import NIOCore
import NIOHTTP1

/// A request over HTTP. Cancelled, it takes its connection along: there is no other way to tell the upstream.
final class HTTPAttempt: UpstreamAttempt, HTTPExchange {
    private let reporter: AttemptReporter
    private var answer: (any AnswerReader)?
    private var connection: HTTPConnection?
    private var isOver = false

    init(reporter: AttemptReporter) { self.reporter = reporter }

    func begin(_ call: HTTPCall, _ request: HTTPConnection.Request, on connection: HTTPConnection) {
        answer = call.answer
        self.connection = connection
        connection.begin(request, for: self)
    }

    func send(_ chunk: [UInt8]) {}
    func endInput() {}
    func pause() { connection?.setPaused(true) }
    func resume() { connection?.setPaused(false) }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        isOver = true
        connection?.close()
        connection = nil
    }

    // MARK: From the connection

    func sent() { reporter.connected() }

    func head(_ head: HTTPResponseHead) {
        reporter.read(0)
        guard !isOver else { return }
        guard (200...299).contains(head.status.code) else {
            return fail(.status(Int(head.status.code), retryAfter: head.headers.retryAfterMilliseconds))
        }
        take { answer, _ throws(CallFailure) in try answer.begin(head.headers) }
    }

    func body(_ part: ByteBuffer) {
        reporter.read(part.readableBytes)
        take { answer, pass throws(CallFailure) in try answer.take(part.readableBytesSpan, pass) }
    }

    func ended() {
        connection = nil
        take { answer, pass throws(CallFailure) in try answer.end(pass) }
        fail(.brokenOff())
    }

    func failed(_ failure: CallFailure) {
        connection = nil
        fail(failure)
    }

    private func take(_ body: (any AnswerReader, (AnswerStream.Step) -> Void) throws(CallFailure) -> Void) {
        guard !isOver, let answer else { return }
        do throws(CallFailure) {
            try body(answer, pass)
        } catch {
            fail(error)
        }
    }

    private func pass(_ step: AnswerStream.Step) {
        guard !isOver else { return }
        switch step {
        case .event(let content): reporter.received(content)
        case .last(let content, let summary):
            isOver = true
            connection?.letPass()
            connection = nil
            reporter.received(last: content, summary: summary)
        case .failed(let retryable, let retryAfter): fail(.reported(retryable: retryable, retryAfter: retryAfter))
        case .chunk: fail(.invalid("an HTTP answer has no chunks"))
        }
    }

    private func fail(_ failure: CallFailure) {
        guard !isOver else { return }
        isOver = true
        connection?.close()
        connection = nil
        reporter.failed(failure)
    }
}
