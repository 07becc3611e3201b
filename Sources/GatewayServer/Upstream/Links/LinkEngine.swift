import GatewayCore
import NIOCore

/// The requests of one session that are in flight, on the event loop of their connections. It stays there when the session moves.
final class LinkEngine: UpstreamEventSink {
    private enum Work {
        case own(ActiveRequest)
        /// The response to another request is this one's as well. `unconsumed` is the size of the text until the response begins, then 0.
        case shared(SharedAnswer.Subscription, unconsumed: Int)
    }

    private let session: ULID
    private let upstreams: LoopUpstreams
    private let onClose: (LinkEngine) -> Void
    /// The receiver of events.
    private var events: (any UpstreamEventSink)?
    /// The receiver of what becomes of the client's input.
    private var input: (any UpstreamEventSink)?
    private var works: [(key: RequestKey, work: Work)] = []
    /// Spoken texts of the last requests, for clients that report how much they have played.
    private var spoken: [(key: RequestKey, id: MessageID, text: SpokenText)] = []
    /// The first stage of the last request.
    private var lastStage: UpstreamStage?
    private var isCongested = false
    private var isClosed = false
    /// Bytes of shared responses, which can't be paused for one of many.
    private var bytesWhileCongested = 0

    private static let spokenKept = 8
    private static let mostWhileCongested = 1 << 20

    init(session: ULID, upstreams: LoopUpstreams, onClose: @escaping (LinkEngine) -> Void) {
        self.session = session
        self.upstreams = upstreams
        self.onClose = onClose
    }

    /// The plan in force on this event loop.
    var plan: UpstreamPlan { upstreams.plan }

    var heldBytes: Int {
        works.reduce(0) { sum, entry in
            if case .own(let request) = entry.work { sum + request.heldBytes } else { sum }
        } + spoken.reduce(0) { $0 + $1.text.heldBytes }
    }

    // MARK: From the session

    func connect(events: any UpstreamEventSink, input: any UpstreamEventSink) {
        (self.events, self.input) = (events, input)
        for entry in works {
            if case .own(let request) = entry.work { request.input = input }
        }
    }

    /// - Parameter route: its index in the plan; nil when no route takes the request
    func start(_ request: consuming UpstreamRequest, plan: UpstreamPlan, route: Int?) {
        guard !isClosed else { return }
        guard let route else {
            input?.consumed(request.input.byteCount)
            events?.deliver(
                UpstreamEvent(
                    request.key,
                    .failure(.noRoute, retryAfterMilliseconds: nil, isRetryable: false),
                    isLast: true))
            return
        }
        let planned = plan.routes[route]
        request.session = session
        request.route = planned.route.name
        let stages = upstreams.stages(of: route, in: plan)
        lastStage = stages.list.first
        let digest = SharedAnswers.digest(of: request, route: planned.route)
        let active = ActiveRequest(request, stages: stages, loop: upstreams.calls, sink: self)
        if let digest { return share(active, digest: digest, pool: lastStage?.pool) }
        active.input = input
        works.append((active.key, .own(active)))
        active.begin()
    }

    func send(_ chunk: [UInt8], of key: RequestKey) {
        guard let request = request(key) else {
            input?.consumed(chunk.count)
            return
        }
        request.send(chunk)
    }

    func endInput(of key: RequestKey) { request(key)?.endInput() }

    func cancel(_ key: RequestKey, _ reason: CancelReason, playedMilliseconds: Int64?) {
        guard let index = works.firstIndex(where: { $0.key == key }) else { return }
        switch works.remove(at: index).work {
        case .own(let request):
            keepSpoken(request)
            request.cancel(reason, playedMilliseconds: playedMilliseconds)
        case .shared(let subscription, let unconsumed):
            input?.consumed(unconsumed)
            subscription.cancel()
        }
        if let playedMilliseconds { played(playedMilliseconds, of: key) }
    }

    func clientState(_ state: ClientMessage.Status.State, replyTo: MessageID?, playedMilliseconds: Int64?) {
        if let replyTo, let playedMilliseconds, let known = spoken.last(where: { $0.id == replyTo }) {
            // While it plays, it is going to play the rest.
            if state != .playing { played(playedMilliseconds, of: known.key) }
        }
        lastStage?.transport.tell(state, of: session, replyTo: replyTo, playedMilliseconds: playedMilliseconds)
    }

    private func played(_ milliseconds: Int64, of key: RequestKey) {
        guard let known = spoken.last(where: { $0.key == key }) else { return }
        input?.played(known.text.bytes(heardAt: milliseconds), of: key)
    }

    /// Pauses the responses.
    func pause() {
        guard !isCongested else { return }
        isCongested = true
        for entry in works {
            if case .own(let request) = entry.work { request.pause() }
        }
    }

    /// There is room again.
    func resume() {
        guard isCongested else { return }
        isCongested = false
        for entry in works {
            if case .own(let request) = entry.work { request.resume() }
        }
    }

    func close(_ reason: CancelReason) {
        guard !isClosed else { return }
        isClosed = true
        let all = works
        works = []
        (events, input) = (nil, nil)
        onClose(self)
        for entry in all {
            switch entry.work {
            case .own(let request): request.cancel(reason, playedMilliseconds: nil)
            case .shared(let subscription, _): subscription.cancel()
            }
        }
    }

    // MARK: From its requests

    @discardableResult
    func deliver(_ event: consuming UpstreamEvent) -> Bool {
        if event.isLast { forget(event.request) }
        guard let events, !events.deliver(event) else { return true }
        isCongested = true
        return false
    }

    private func forget(_ key: RequestKey) {
        guard let index = works.firstIndex(where: { $0.key == key }) else { return }
        if case .own(let request) = works.remove(at: index).work { keepSpoken(request) }
    }

    private func request(_ key: RequestKey) -> ActiveRequest? {
        for entry in works where entry.key == key {
            if case .own(let request) = entry.work { return request }
        }
        return nil
    }

    private func keepSpoken(_ request: ActiveRequest) {
        guard let text = request.spokenText else { return }
        spoken.append((request.key, request.id, text))
        if spoken.count > Self.spokenKept { spoken.removeFirst() }
    }

    // MARK: Shared responses

    private func share(_ request: ActiveRequest, digest: SharedAnswers.Digest, pool: UpstreamPool?) {
        let key = request.key
        let bound = NIOLoopBound(self, eventLoop: upstreams.calls.eventLoop)
        let subscription = upstreams.shared.join(digest, on: upstreams.calls.eventLoop) { event in
            bound.value.receiveShared(UpstreamEvent(key, event.content, isLast: event.isLast, epilogue: event.epilogue))
        } lead: { answer in
            request.sink = answer
            return request
        }
        if !subscription.leads { pool?.count { $0.shared &+= 1 } }
        works.append((key, .shared(subscription, unconsumed: request.inputBytes)))
        if subscription.leads { request.begin() }
    }

    private func receiveShared(_ event: consuming UpstreamEvent) {
        let key = event.request
        guard let index = works.firstIndex(where: { $0.key == key }) else { return }
        if case .shared(let subscription, let unconsumed) = works[index].work, unconsumed > 0 {
            works[index].work = .shared(subscription, unconsumed: 0)
            input?.consumed(unconsumed)
        }
        bytesWhileCongested = isCongested ? bytesWhileCongested + event.content.byteCount : 0
        guard bytesWhileCongested <= Self.mostWhileCongested || event.isLast else {
            // The other requests go on; events of this one would have to be kept.
            if case .shared(let subscription, _) = works.remove(at: index).work { subscription.cancel() }
            deliver(UpstreamEvent(key, .tooFast(isRetryable: true), isLast: true))
            return
        }
        deliver(event)
    }
}
