// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// The requests in flight of one session, on the event loop of their connections. The engine stays on that event loop when the session is
/// transferred.
final class LinkEngine: UpstreamEventSink {
    private enum Work {
        case own(ActiveRequest)
        /// The response is shared with an identical request. `unconsumed`: bytes of the text; 0 once the response has begun.
        case shared(SharedResponse.Subscription, unconsumed: Int)
    }

    private let session: ULID
    private let upstreams: LoopUpstreams
    private let onClose: (LinkEngine) -> Void
    /// The receiver of events.
    private var events: (any UpstreamEventSink)?
    /// The receiver of `consumed` and `played`.
    private var input: (any UpstreamEventSink)?
    private var requests: [(key: RequestKey, work: Work)] = []
    /// The traces of requests that share the response of another one; empty without tracing.
    private var sharedTraces: [RequestKey: MessageTrace] = [:]
    /// Spoken texts of the most recent requests, for clients that report their playback position.
    private var spoken: [(key: RequestKey, id: MessageID, text: SpokenText)] = []
    /// The first stage of the most recent request.
    private var lastStage: UpstreamStage?
    private var isCongested = false
    private var isClosed = false
    /// Bytes of shared responses received during congestion. A shared response can't be paused for one of its subscribers.
    private var bytesWhileCongested = 0

    private static let maxSpoken = 8
    private static let maxBytesWhileCongested = 1 << 20

    init(session: ULID, upstreams: LoopUpstreams, onClose: @escaping (LinkEngine) -> Void) {
        self.session = session
        self.upstreams = upstreams
        self.onClose = onClose
    }

    /// The current plan of this event loop.
    var plan: UpstreamPlan { upstreams.plan }

    var heldBytes: Int {
        requests.reduce(0) { sum, entry in
            if case .own(let request) = entry.work { sum + request.heldBytes } else { sum }
        } + spoken.reduce(0) { $0 + $1.text.heldBytes }
    }

    // MARK: From the session

    func connect(events: any UpstreamEventSink, input: any UpstreamEventSink) {
        (self.events, self.input) = (events, input)
        for entry in requests {
            if case .own(let request) = entry.work { request.input = input }
        }
    }

    /// - Parameter route: the index of the route in the plan; nil when no route matches
    func start(_ request: consuming UpstreamRequest, plan: UpstreamPlan, route: Int?) {
        guard !isClosed else { return }
        guard let route else {
            input?.consumed(request.input.byteCount)
            upstreams.calls.tracer?.beginMessage(request, session: session).end(failure: ErrorReason.noRoute.code)
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
        let trace = upstreams.calls.tracer?.beginMessage(request, session: session)
        let digest = RequestDeduplication.digest(of: request, route: planned.route)
        let active = ActiveRequest(request, stages: stages, loop: upstreams.calls, sink: self)
        active.trace = trace.map { RequestTrace(message: $0) }
        if let digest { return share(active, digest: digest, pool: lastStage?.pool) }
        active.input = input
        requests.append((active.key, .own(active)))
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
        guard let index = requests.firstIndex(where: { $0.key == key }) else { return }
        switch requests.remove(at: index).work {
        case .own(let request):
            keepSpoken(request)
            request.cancel(reason, playedMilliseconds: playedMilliseconds)
        case .shared(let subscription, let unconsumed):
            input?.consumed(unconsumed)
            subscription.cancel()
            endSharedTrace(key) { $0.cancel(reason) }
        }
        if let playedMilliseconds { played(playedMilliseconds, of: key) }
    }

    func clientState(_ state: ClientMessage.Status.State, replyTo: MessageID?, playedMilliseconds: Int64?) {
        if let replyTo, let playedMilliseconds, let found = spoken.last(where: { $0.id == replyTo }) {
            // A position that is reported during playback isn't final.
            if state != .playing { played(playedMilliseconds, of: found.key) }
        }
        lastStage?.transport.sendClientState(state, of: session, replyTo: replyTo, playedMilliseconds: playedMilliseconds)
    }

    private func played(_ milliseconds: Int64, of key: RequestKey) {
        guard let found = spoken.last(where: { $0.key == key }) else { return }
        input?.played(found.text.bytes(playedAt: milliseconds), of: key)
    }

    /// Pauses all responses that aren't shared.
    func pause() {
        guard !isCongested else { return }
        isCongested = true
        for entry in requests {
            if case .own(let request) = entry.work { request.pause() }
        }
    }

    /// Resumes the responses when there is room again.
    func resume() {
        guard isCongested else { return }
        isCongested = false
        for entry in requests {
            if case .own(let request) = entry.work { request.resume() }
        }
    }

    func close(_ reason: CancelReason) {
        guard !isClosed else { return }
        isClosed = true
        let all = requests
        requests = []
        (events, input) = (nil, nil)
        onClose(self)
        for entry in all {
            switch entry.work {
            case .own(let request): request.cancel(reason, playedMilliseconds: nil)
            case .shared(let subscription, _):
                subscription.cancel()
                endSharedTrace(entry.key) { $0.cancel(reason) }
            }
        }
    }

    // MARK: From its requests

    @discardableResult
    func deliver(_ event: consuming UpstreamEvent) -> Bool {
        if event.isLast { remove(event.request) }
        guard let events, !events.deliver(event) else { return true }
        isCongested = true
        return false
    }

    private func remove(_ key: RequestKey) {
        guard let index = requests.firstIndex(where: { $0.key == key }) else { return }
        if case .own(let request) = requests.remove(at: index).work { keepSpoken(request) }
    }

    private func request(_ key: RequestKey) -> ActiveRequest? {
        for entry in requests where entry.key == key {
            if case .own(let request) = entry.work { return request }
        }
        return nil
    }

    private func keepSpoken(_ request: ActiveRequest) {
        guard let text = request.spokenText else { return }
        spoken.append((request.key, request.id, text))
        if spoken.count > Self.maxSpoken { spoken.removeFirst() }
    }

    // MARK: Shared responses

    private func share(_ request: ActiveRequest, digest: RequestDeduplication.Digest, pool: UpstreamPool?) {
        let key = request.key
        let bound = NIOLoopBound(self, eventLoop: upstreams.calls.eventLoop)
        let subscription = upstreams.shared.join(digest, on: upstreams.calls.eventLoop) { event in
            bound.value.receiveShared(UpstreamEvent(key, event.content, isLast: event.isLast, epilogue: event.epilogue))
        } makeRequest: { response in
            request.sink = response
            return request
        }
        if !subscription.isLeader {
            pool?.count { $0.shared &+= 1 }
            if let message = request.trace?.message {
                message.set(.init("parley.shared", true))
                sharedTraces[key] = message
            }
        }
        requests.append((key, .shared(subscription, unconsumed: request.inputBytes)))
        if subscription.isLeader { request.begin() }
    }

    private func endSharedTrace(_ key: RequestKey, _ body: (MessageTrace) -> Void) {
        guard !sharedTraces.isEmpty, let trace = sharedTraces.removeValue(forKey: key) else { return }
        body(trace)
    }

    private func receiveShared(_ event: consuming UpstreamEvent) {
        let key = event.request
        guard let index = requests.firstIndex(where: { $0.key == key }) else { return }
        if event.isLast { endSharedTrace(key) { $0.end(event.content, correlationID: event.epilogue?.correlationID) } }
        if case .shared(let subscription, let unconsumed) = requests[index].work, unconsumed > 0 {
            requests[index].work = .shared(subscription, unconsumed: 0)
            input?.consumed(unconsumed)
        }
        bytesWhileCongested = isCongested ? bytesWhileCongested + event.content.byteCount : 0
        guard bytesWhileCongested <= Self.maxBytesWhileCongested || event.isLast else {
            // Fails only this subscriber, whose events would otherwise be buffered without limit.
            if case .shared(let subscription, _) = requests.remove(at: index).work { subscription.cancel() }
            endSharedTrace(key) { $0.end(failure: ErrorReason.responseOverflow.code) }
            deliver(UpstreamEvent(key, .tooFast(isRetryable: true), isLast: true))
            return
        }
        deliver(event)
    }
}
