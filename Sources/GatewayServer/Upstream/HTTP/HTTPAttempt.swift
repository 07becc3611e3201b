import AsyncHTTPClient
import GatewayCore
import Logging
import NIOCore
import NIOHTTP1

/// A request over HTTP, on the event loop of the call. Its connection is the client library's matter, and closed when it is cancelled.
final class HTTPAttempt: UpstreamAttempt {
    private let receiver: any AttemptReceiver
    private let answer: any AnswerReader
    private let eventLoop: any EventLoop
    private var task: HTTPClient.Task<Void>?
    private var isOver = false
    /// The answer is complete; the rest of the body is let pass, so that the connection can be used again.
    private var isDraining = false
    private var drained = 0
    private var isPaused = false
    private var held: EventLoopPromise<Void>?
    private var hasConnected = false

    /// What may come behind the end of an answer before its connection is given up, in bytes and in time.
    private static let longestRest = 65_536
    private static let restTime = TimeAmount.seconds(1)

    init(receiver: any AttemptReceiver, answer: any AnswerReader, eventLoop: any EventLoop) {
        self.receiver = receiver
        self.answer = answer
        self.eventLoop = eventLoop
    }

    func begin(_ request: HTTPClient.Request, client: HTTPClient) {
        let relay = HTTPRelay(attempt: NIOLoopBound(self, eventLoop: eventLoop))
        // Not `delegateAndChannel`: the library closes connections that were made for one event loop only after each request.
        task = client.execute(request: request, delegate: relay, eventLoop: .delegate(on: eventLoop))
    }

    func send(_ chunk: [UInt8]) {}
    func endInput() {}

    func pause() { isPaused = true }

    func resume() {
        isPaused = false
        held?.succeed()
        held = nil
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        isOver = true
        stop()
    }

    private func stop() {
        held?.succeed()
        held = nil
        task?.cancel()
        task = nil
    }

    // MARK: From the client library

    fileprivate func sent() {
        guard !isOver, !hasConnected else { return }
        hasConnected = true
        receiver.connected()
    }

    fileprivate func head(_ head: HTTPResponseHead) {
        guard !isOver else { return }
        receiver.heard()
        guard (200...299).contains(head.status.code) else {
            return fail(.status(Int(head.status.code), retryAfter: head.headers.retryAfterMilliseconds))
        }
        do throws(CallFailure) {
            try answer.begin(head.headers)
        } catch {
            fail(error)
        }
    }

    /// - Returns: what to wait for before more is read; nil to go on at once.
    fileprivate func body(_ part: ByteBuffer) -> EventLoopFuture<Void>? {
        guard !isDraining else {
            drained += part.readableBytes
            if drained > Self.longestRest { stop() }
            return nil
        }
        guard !isOver else { return nil }
        receiver.heard()
        do throws(CallFailure) {
            try answer.take(part.readableBytesSpan, pass)
        } catch {
            fail(error)
            return nil
        }
        guard isPaused, !isOver, !isDraining else { return nil }
        let promise = held ?? eventLoop.makePromise()
        held = promise
        return promise.futureResult
    }

    fileprivate func end() {
        task = nil
        guard !isOver, !isDraining else { return }
        do throws(CallFailure) {
            try answer.end(pass)
            if !isOver, !isDraining { fail(.brokenOff()) }
        } catch {
            fail(error)
        }
    }

    fileprivate func failed(_ error: any Error) {
        task = nil
        guard !isOver, !isDraining else { return }
        switch error {
        case is HTTPParserError: fail(.invalid("the answer isn't HTTP"))
        case _ where hasConnected: fail(.brokenOff(Self.text(error)))
        default: fail(.unreachable(Self.text(error)))
        }
    }

    private static func text(_ error: any Error) -> String { String("\(error)".prefix(200)) }

    private func pass(_ step: AnswerStream.Step) {
        guard !isOver, !isDraining else { return }
        switch step {
        case .event(let content): receiver.received(content)
        case .last(let content, let usage):
            isDraining = true
            if task != nil {
                eventLoop.assumeIsolated().scheduleTask(in: Self.restTime) { [weak self] in self?.stop() }
            }
            receiver.received(last: content, usage: usage)
        case .failed(let retryable, let retryAfter): fail(.reported(retryable: retryable, retryAfter: retryAfter))
        case .chunk: fail(.invalid("an HTTP answer has no chunks"))
        }
    }

    private func fail(_ failure: CallFailure) {
        guard !isOver else { return }
        isOver = true
        stop()
        receiver.failed(failure)
    }
}

/// What the client library calls, on the event loop of the attempt.
private final class HTTPRelay: HTTPClientResponseDelegate {
    private let attempt: NIOLoopBound<HTTPAttempt>

    init(attempt: NIOLoopBound<HTTPAttempt>) { self.attempt = attempt }

    func didSendRequestHead(task: HTTPClient.Task<Void>, _ head: HTTPRequestHead) { attempt.value.sent() }

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        attempt.value.head(head)
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        attempt.value.body(buffer) ?? task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) { attempt.value.failed(error) }

    func didFinishRequest(task: HTTPClient.Task<Void>) throws { attempt.value.end() }
}
