import GatewayCore
import NIOCore
import Synchronization

/// Makes attempts on one event loop.
final class ProcessMaker: UpstreamTransport {
    private let service: ProcessService
    private let loop: CallLoop

    init(service: ProcessService, loop: CallLoop) {
        self.service = service
        self.loop = loop
    }

    func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt {
        let attempt = ProcessAttempt(copy request, service: service, reporter: reporter, eventLoop: loop.eventLoop)
        attempt.begin()
        return attempt
    }
}

/// One request to a worker.
private final class ProcessAttempt: UpstreamAttempt {
    private let request: UpstreamRequest
    private let service: ProcessService
    private let reporter: AttemptReporter
    private let eventLoop: any EventLoop
    private var worker: ProcessWorker?
    /// The pipes of the worker that has the request.
    private var handler: NIOLoopBound<WorkerHandler>?
    private var isOver = false
    private var isPaused = false
    /// Audio that has come while no worker has the request.
    private var chunks: [[UInt8]] = []
    private var hasInputEnded = false
    /// A worker has got some of the audio, so that no other can take the request.
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
        worker = service.take(on: eventLoop) { failure in
            bound.eventLoop.execute { bound.value.isUp(failure) }
        }
    }

    private func isUp(_ failure: CallFailure?) {
        guard !isOver else { return }
        if let failure { return fail(failure) }
        guard let worker, let handler = worker.handler else { return fail(.unreachable("the process has ended")) }
        let number = Self.numbers.add(1, ordering: .relaxed).newValue
        var line: [UInt8] = []
        line.append(request, number: number)
        line.append(UInt8(ascii: "\n"))
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let whole = line
        Self.tell(handler) { handler in
            handler.begin(number, line: whole) { event in
                if bound.eventLoop.inEventLoop {
                    bound.value.take(event, from: worker)
                } else {
                    bound.eventLoop.execute { bound.value.take(event, from: worker) }
                }
            }
        }
    }

    /// Its pipes may be on another event loop.
    private static func tell(_ handler: NIOLoopBound<WorkerHandler>?, _ body: @escaping @Sendable (WorkerHandler) -> Void) {
        guard let handler else { return }
        if handler.eventLoop.inEventLoop { body(handler.value) } else { handler.eventLoop.execute { body(handler.value) } }
    }

    func send(_ chunk: [UInt8]) {
        guard !isOver else { return }
        guard let handler else { return chunks.append(chunk) }
        hasSentAudio = true
        Self.tell(handler) { $0.send(chunk) }
    }

    func endInput() {
        hasInputEnded = true
        Self.tell(handler) { $0.endInput() }
    }

    func pause() { setPaused(true) }
    func resume() { setPaused(false) }

    private func setPaused(_ paused: Bool) {
        isPaused = paused
        Self.tell(handler) { $0.setPaused(paused) }
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isOver else { return }
        isOver = true
        Self.tell(handler) { $0.forget() }
        // There is no other way to make it stop.
        worker?.kill()
    }

    private func take(_ event: WorkerEvent, from worker: ProcessWorker) {
        // Events of a worker that was replaced may arrive late.
        guard !isOver, worker === self.worker else { return }
        switch event {
        case .ready: ready(worker)
        case .heard(let bytes): reporter.read(bytes)
        case .took(let bytes): if request.isStreamed { reporter.consumed(bytes) }
        case .step(.event(let content)): reporter.received(content)
        case .step(.last(let content, let summary)):
            giveBack()
            reporter.received(last: content, summary: summary)
        case .step(.failed(let retryable, let retryAfter)):
            giveBack()
            reporter.failed(.reported(retryable: retryable, retryAfter: retryAfter))
        case .step(.chunk): break
        case .checkpoint: Self.tell(worker.handler) { $0.readOn() }
        case .failed(let failure): fail(failure)
        case .stale(let reason): replace(worker, reason)
        }
    }

    private func ready(_ worker: ProcessWorker) {
        handler = worker.handler
        if isPaused { setPaused(true) }
        reporter.connected()
        guard !isOver else { return }
        if !hasSentAudio, chunks.isEmpty, !hasInputEnded { sendRecording(of: request) }
        let waiting = chunks
        chunks = []
        for chunk in waiting { send(chunk) }
        if hasInputEnded, !request.isRecording { Self.tell(handler) { $0.endInput() } }
    }

    /// The next one that rests, or a new one. Each is asked once, and a new one doesn't count as used up: it ends.
    private func replace(_ worker: ProcessWorker, _ reason: String) {
        worker.kill()
        guard !hasSentAudio else {
            var failure = CallFailure.brokenOff(reason)
            (failure.hasReached, failure.outcome) = (false, .neither)
            return fail(failure)
        }
        handler = nil
        begin()
    }

    /// It is done, and the worker as good as before.
    private func giveBack() {
        isOver = true
        if let worker { service.give(worker) }
    }

    private func fail(_ failure: CallFailure) {
        guard !isOver else { return }
        isOver = true
        worker?.kill()
        reporter.failed(failure)
    }
}
