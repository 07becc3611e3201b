// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import Synchronization

/// The transport of a `process` upstream on one event loop.
final class ProcessTransport: UpstreamTransport {
    private let service: ProcessService
    private let loop: CallContext

    init(service: ProcessService, loop: CallContext) {
        self.service = service
        self.loop = loop
    }

    func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt {
        let attempt = ProcessAttempt(copy request, service: service, reporter: reporter, eventLoop: loop.eventLoop)
        attempt.begin()
        return attempt
    }
}

/// One attempt, performed by a worker process.
private final class ProcessAttempt: UpstreamAttempt {
    private let request: UpstreamRequest
    private let service: ProcessService
    private let reporter: AttemptReporter
    private let eventLoop: any EventLoop
    private var worker: ProcessWorker?
    /// The handler of the worker to which the request was written.
    private var handler: NIOLoopBound<WorkerHandler>?
    private var isEnded = false
    private var isPaused = false
    /// Audio that was received before the request was written to a worker.
    private var chunks: [[UInt8]] = []
    private var hasInputEnded = false
    /// Whether audio was sent to a worker. If so, the request can't be moved to another worker.
    private var hasSentAudio = false
    private static let numbers = Atomic<UInt64>(0)

    init(_ request: consuming UpstreamRequest, service: ProcessService, reporter: AttemptReporter, eventLoop: any EventLoop) {
        self.request = request
        self.service = service
        self.reporter = reporter
        self.eventLoop = eventLoop
    }

    func begin() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        worker = service.lease(on: eventLoop) { failure in
            bound.eventLoop.execute { bound.value.workerReady(failure) }
        }
    }

    private func workerReady(_ failure: CallFailure?) {
        guard !isEnded else { return }
        if let failure { return fail(failure) }
        guard let worker, let handler = worker.handler else { return fail(.unreachable("the process has ended")) }
        let number = Self.numbers.add(1, ordering: .relaxed).newValue
        var line: [UInt8] = []
        line.append(request, number: number)
        line.append(UInt8(ascii: "\n"))
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let whole = line
        Self.perform(handler) { handler in
            handler.begin(number, line: whole) { event in
                if bound.eventLoop.inEventLoop {
                    bound.value.handle(event, from: worker)
                } else {
                    bound.eventLoop.execute { bound.value.handle(event, from: worker) }
                }
            }
        }
    }

    /// Runs `body` on the handler's event loop, which may differ from the attempt's.
    private static func perform(_ handler: NIOLoopBound<WorkerHandler>?, _ body: @escaping @Sendable (WorkerHandler) -> Void) {
        guard let handler else { return }
        if handler.eventLoop.inEventLoop { body(handler.value) } else { handler.eventLoop.execute { body(handler.value) } }
    }

    func send(_ chunk: [UInt8]) {
        guard !isEnded else { return }
        guard let handler else { return chunks.append(chunk) }
        hasSentAudio = true
        Self.perform(handler) { $0.send(chunk) }
    }

    func endInput() {
        hasInputEnded = true
        Self.perform(handler) { $0.endInput() }
    }

    func pause() { setPaused(true) }
    func resume() { setPaused(false) }

    private func setPaused(_ paused: Bool) {
        isPaused = paused
        Self.perform(handler) { $0.setPaused(paused) }
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isEnded else { return }
        isEnded = true
        Self.perform(handler) { $0.detach() }
        // Killing the worker is the only way to cancel its request.
        worker?.kill()
    }

    private func handle(_ event: WorkerEvent, from worker: ProcessWorker) {
        // Events of a worker that was replaced may arrive late.
        guard !isEnded, worker === self.worker else { return }
        switch event {
        case .ready: ready(worker)
        case .read(let bytes): reporter.read(bytes)
        case .consumed(let bytes): if request.isStreamed { reporter.consumed(bytes) }
        case .step(.event(let content)): reporter.received(content)
        case .step(.last(let content, let summary)):
            releaseWorker()
            reporter.received(last: content, summary: summary)
        case .step(.failed(let retryable, let retryAfter)):
            releaseWorker()
            reporter.failed(.reported(retryable: retryable, retryAfter: retryAfter))
        case .step(.chunk): break
        case .checkpoint: Self.perform(worker.handler) { $0.allowNextRead() }
        case .failed(let failure): fail(failure)
        case .stale(let reason): replace(worker, reason)
        }
    }

    private func ready(_ worker: ProcessWorker) {
        handler = worker.handler
        if isPaused { setPaused(true) }
        reporter.requestSent()
        guard !isEnded else { return }
        if !hasSentAudio, chunks.isEmpty, !hasInputEnded { sendRecording(of: request) }
        let waiting = chunks
        chunks = []
        for chunk in waiting { send(chunk) }
        if hasInputEnded, !request.isRecording { Self.perform(handler) { $0.endInput() } }
    }

    /// Moves the request to another worker. Terminates because each idle worker is tried once and a new worker is never stale.
    private func replace(_ worker: ProcessWorker, _ reason: String) {
        worker.kill()
        guard !hasSentAudio else {
            var failure = CallFailure.incompleteResponse(reason)
            (failure.mayHaveBeenProcessed, failure.outcome) = (false, .neither)
            return fail(failure)
        }
        handler = nil
        begin()
    }

    /// Ends the attempt and returns the worker to its service for reuse.
    private func releaseWorker() {
        isEnded = true
        if let worker { service.release(worker) }
    }

    private func fail(_ failure: CallFailure) {
        guard !isEnded else { return }
        isEnded = true
        worker?.kill()
        reporter.failed(failure)
    }
}
