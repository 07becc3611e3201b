// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore

/// A session's link to the upstreams of its routes.
///
/// The requests belong to the ``LinkEngine``, which stays on the event loop on which the link was made; the link is transferred with the
/// session. On the same event loop, link and engine call each other directly. Otherwise events are delivered through an ``EventMailbox``.
final class RoutedLink: UpstreamLink, UpstreamEventSink, EventMailbox.Reader {
    private let engine: NIOLoopBound<LinkEngine>
    private let plans: UpstreamPlans
    /// The event loop of the engine.
    private let engineLoop: any EventLoop
    private var session: (any UpstreamEventSink & ConversationSource)?
    private var isOnEngineLoop = true
    private let mailbox = EventMailbox()
    private var credit = 0
    private var inbox: Deque<UpstreamEvent> = []
    private var inboxBytes = 0
    /// Number of events in the inbox, where events that were coalesced since the last demand count separately.
    private var received = 0
    private var isCongested = false

    init(engine: LinkEngine, session: any UpstreamEventSink & ConversationSource, plans: UpstreamPlans, eventLoop: any EventLoop) {
        self.engine = NIOLoopBound(engine, eventLoop: eventLoop)
        self.session = session
        self.plans = plans
        engineLoop = eventLoop
        engine.connect(events: self, input: session)
    }

    var isSynchronous: Bool { false }

    var heldBytes: Int { inboxBytes + (isOnEngineLoop ? engine.value.heldBytes : 0) }

    // MARK: From the session

    func send(_ command: UpstreamCommand, audio: [UInt8]) {
        switch command {
        case .start(let request): start(request)
        case .audio(let key, let range):
            let chunk = Array(audio[range])
            onEngine { $0.send(chunk, of: key) }
        case .audioEnd(let key): onEngine { $0.endInput(of: key) }
        case .cancel(let key, let played): cancel(key, .client, playedMilliseconds: played)
        case .clientState(let state, let replyTo, let played):
            onEngine { $0.clientState(state, replyTo: replyTo, playedMilliseconds: played) }
        }
    }

    private func start(_ request: consuming UpstreamRequest) {
        let plan = isOnEngineLoop ? engine.value.plan : plans.current
        var request = request
        let route = plan.table.choose(request, path: request.path)
        if let route, request.access?.allows(route: plan.table.routes[route].name) == false {
            session?.deliver(UpstreamEvent(request.key, .failure(.routeForbidden, retryAfterMilliseconds: nil), isLast: true))
            return
        }
        session?.routed(request.key, to: route.map { plan.routes[$0].tariff } ?? .unrouted)
        if let route, plan.routes[route].lines > 0, let session {
            request.conversation = session.conversation(
                before: request.key, lines: plan.routes[route].lines, bytes: plan.routes[route].bytes)
        }
        guard !isOnEngineLoop else { return engine.value.start(request, plan: plan, route: route) }
        let routed = request
        onEngine { $0.start(routed, plan: plan, route: route) }
    }

    private func onEngine(_ body: @escaping @Sendable (LinkEngine) -> Void) {
        if isOnEngineLoop { body(engine.value) } else { engineLoop.execute { [engine] in body(engine.value) } }
    }

    /// Cancels a request and drops its undelivered events.
    private func cancel(_ key: RequestKey, _ reason: CancelReason, playedMilliseconds: Int64? = nil) {
        if !inbox.isEmpty { inbox.removeAll { $0.request == key } }
        inboxBytes = inbox.reduce(0) { $0 + $1.content.byteCount }
        onEngine { $0.cancel(key, reason, playedMilliseconds: playedMilliseconds) }
        resumeIfDrained()
    }

    func demand(_ events: Int) {
        credit += events
        if !isCongested { received = inbox.count }
        while credit > 0, let event = inbox.popFirst() {
            inboxBytes -= event.content.byteCount
            credit -= 1
            session?.deliver(event)
        }
        resumeIfDrained()
    }

    private func resumeIfDrained() {
        guard isCongested, inbox.count <= Congestion.count / 2, inboxBytes <= Congestion.bytes / 2 else { return }
        isCongested = false
        received = inbox.count
        onEngine { $0.resume() }
    }

    func withdraw() -> Int {
        defer { credit = 0 }
        return credit
    }

    func detach() {
        session = nil
        if isOnEngineLoop {
            isOnEngineLoop = false
            engine.value.connect(events: mailbox, input: mailbox)
        } else {
            mailbox.detach()
        }
    }

    func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop) {
        self.session = session
        if eventLoop === engineLoop {
            isOnEngineLoop = true
            engine.value.connect(events: self, input: session)
            receive(mailbox.take())
        } else {
            mailbox.attach(NIOLoopBound(self, eventLoop: eventLoop))
        }
    }

    func close() {
        onEngine { $0.close(.session) }
        mailbox.detach()
        session = nil
        inbox = []
        inboxBytes = 0
    }

    // MARK: From the engine

    func deliver(_ event: consuming UpstreamEvent) -> Bool {
        if inbox.isEmpty, credit > 0 || event.content.isFailure {
            credit = max(0, credit - 1)
            session?.deliver(event)
            return true
        }
        return enqueue(event)
    }

    private func enqueue(_ event: consuming UpstreamEvent) -> Bool {
        inboxBytes += event.content.byteCount
        guard inboxBytes <= Congestion.hardLimit else {
            failTooFast(event.request)
            return !isCongested
        }
        let event = event
        if !coalesce(event) { inbox.append(event) }
        received += 1
        if received >= Congestion.count || inboxBytes >= Congestion.bytes { isCongested = true }
        return !isCongested
    }

    /// Fails the request of an upstream that keeps sending while it is paused. The session continues.
    private func failTooFast(_ key: RequestKey) {
        cancel(key, .fault)
        session?.deliver(UpstreamEvent(key, .tooFast(isRetryable: false), isLast: true))
    }

    /// Appends a text delta to the last event of the inbox if that is a delta of the same request.
    ///
    /// - Returns: false when the two can't be coalesced
    private func coalesce(_ event: UpstreamEvent) -> Bool {
        guard !event.isLast, case .text(let more, final: false) = event.content, let last = inbox.last, last.request == event.request,
            !last.isLast, case .text(var text, final: false) = last.content
        else { return false }
        inbox.removeLast()
        text += more
        inbox.append(UpstreamEvent(event.request, .text(text, final: false)))
        return true
    }

    func receive(_ items: Deque<EventMailbox.Item>) {
        for item in items {
            switch item {
            case .event(let event): if !deliver(event) { onEngine { $0.pause() } }
            case .consumed(let bytes): session?.consumed(bytes)
            case .played(let bytes, let request): session?.played(bytes, of: request)
            }
        }
        // The mailbox is empty now; the engine may be paused because it was full.
        if !isCongested { onEngine { $0.resume() } }
    }
}

extension UpstreamEvent.Content {
    static func tooFast(isRetryable: Bool) -> Self {
        .failure(.responseOverflow, retryAfterMilliseconds: nil, isRetryable: isRetryable)
    }

    var isFailure: Bool { if case .failure = self { true } else { false } }
}
