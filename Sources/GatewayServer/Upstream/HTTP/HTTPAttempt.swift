// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOHTTP1

/// An attempt over HTTP. Cancelling it closes its connection: HTTP/1.1 has no other way to notify the upstream.
final class HTTPAttempt: UpstreamAttempt, HTTPExchange {
    private let reporter: AttemptReporter
    private var reader: (any ResponseReader)?
    private var connection: HTTPConnection?
    private var isEnded = false

    init(reporter: AttemptReporter) { self.reporter = reporter }

    func begin(_ call: HTTPCall, _ request: HTTPConnection.Request, on connection: HTTPConnection) {
        reader = call.reader
        self.connection = connection
        connection.begin(request, for: self)
    }

    func send(_ chunk: [UInt8]) {}
    func endInput() {}
    func pause() { connection?.setPaused(true) }
    func resume() { connection?.setPaused(false) }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        isEnded = true
        connection?.close()
        connection = nil
    }

    // MARK: From the connection

    func sent() { reporter.requestSent() }

    func head(_ head: HTTPResponseHead) {
        reporter.read(0)
        guard !isEnded else { return }
        guard (200...299).contains(head.status.code) else {
            return fail(.status(Int(head.status.code), retryAfter: head.headers.retryAfterMilliseconds))
        }
        withReader { reader, _ throws(CallFailure) in try reader.begin(head.headers) }
    }

    func body(_ part: ByteBuffer) {
        reporter.read(part.readableBytes)
        withReader { reader, handle throws(CallFailure) in try reader.receive(part.readableBytesSpan, handle) }
    }

    func ended() {
        connection = nil
        withReader { reader, handle throws(CallFailure) in try reader.end(handle) }
        fail(.incompleteResponse())
    }

    func failed(_ failure: CallFailure) {
        connection = nil
        fail(failure)
    }

    private func withReader(_ body: (any ResponseReader, (ResponseStream.Step) -> Void) throws(CallFailure) -> Void) {
        guard !isEnded, let reader else { return }
        do throws(CallFailure) {
            try body(reader, handle)
        } catch {
            fail(error)
        }
    }

    private func handle(_ step: ResponseStream.Step) {
        guard !isEnded else { return }
        switch step {
        case .event(let content): reporter.received(content)
        case .last(let content, let summary):
            isEnded = true
            connection?.discardRemainder()
            connection = nil
            reporter.received(last: content, summary: summary)
        case .failed(let retryable, let retryAfter): fail(.reported(retryable: retryable, retryAfter: retryAfter))
        case .chunk: fail(.invalid("chunk messages aren't allowed over HTTP"))
        }
    }

    private func fail(_ failure: CallFailure) {
        guard !isEnded else { return }
        isEnded = true
        connection?.close()
        connection = nil
        reporter.failed(failure)
    }
}
