import DequeModule
import GatewayCore
import NIOCore
import Synchronization

/// A session's link to the upstreams of its routes.
///
/// The requests themselves are with the ``LinkEngine``, on the event loop on which the link was made. The link goes along with the session: as
/// long as both are on one event loop, they call each other; after that, what they say crosses over.
final class RoutedLink: UpstreamLink, EngineOutput {
    private let engine: NIOLoopBound<LinkEngine>
    private let roster: UpstreamRoster
    /// The engine's.
    private let home: any EventLoop
    private var receiver: (any UpstreamReceiver)?
    private var isHome = true
    private let crossing = Crossing()
    private var credit = 0
    private var inbox: Deque<UpstreamEvent> = []
    private var inboxBytes = 0
    /// Events that have come since there was room, also those that wait as one.
    private var gathered = 0
    fileprivate private(set) var isCongested = false

    init(engine: LinkEngine, receiver: any UpstreamReceiver, roster: UpstreamRoster, eventLoop: any EventLoop) {
        self.engine = NIOLoopBound(engine, eventLoop: eventLoop)
        self.receiver = receiver
        self.roster = roster
        home = eventLoop
        engine.output = self
    }

    var isAtOnce: Bool { false }

    var heldBytes: Int { inboxBytes + (isHome ? engine.value.heldBytes : 0) }

    // MARK: From the session

    func send(_ command: UpstreamCommand, audio: [UInt8]) {
        switch command {
        case .start(let request):
            let plan = isHome ? engine.value.plan : roster.plan
            let route = plan.table.choose(request, path: request.path)
            let conversation = conversation(before: request.key, route.map { plan.routes[$0] })
            tell { $0.start(request, plan: plan, route: route, conversation: conversation) }
        case .audio(let key, let range):
            let chunk = Array(audio[range])
            tell { $0.hear(chunk, of: key) }
        case .audioEnd(let key): tell { $0.endInput(of: key) }
        case .cancel(let key, let played): cancel(key, .client, playedMilliseconds: played)
        case .clientState(let state, let replyTo, let played):
            tell { $0.clientState(state, replyTo: replyTo, playedMilliseconds: played) }
        }
    }

    /// What goes along with a request of a route.
    private func conversation(before key: RequestKey, _ planned: UpstreamRoster.PlannedRoute?) -> [ConversationLine] {
        guard let planned, planned.lines > 0 else { return [] }
        return receiver?.conversation(before: key, lines: planned.lines, bytes: planned.bytes) ?? []
    }

    fileprivate func tell(_ body: @escaping @Sendable (LinkEngine) -> Void) {
        if isHome { body(engine.value) } else { home.execute { [engine] in body(engine.value) } }
    }

    /// What has come of it and wasn't taken isn't wanted any more.
    private func cancel(_ key: RequestKey, _ reason: CancelReason, playedMilliseconds: Int64? = nil) {
        if !inbox.isEmpty { inbox.removeAll { $0.request == key } }
        inboxBytes = inbox.reduce(0) { $0 + $1.content.byteCount }
        tell { $0.cancel(key, reason, playedMilliseconds: playedMilliseconds) }
        relieve()
    }

    func demand(_ events: Int) {
        credit += events
        if !isCongested { gathered = inbox.count }
        while credit > 0, let event = inbox.popFirst() {
            inboxBytes -= event.content.byteCount
            credit -= 1
            receiver?.receive(event)
        }
        relieve()
    }

    private func relieve() {
        guard isCongested, inbox.count <= Congestion.count / 2, inboxBytes <= Congestion.bytes / 2 else { return }
        isCongested = false
        gathered = inbox.count
        tell { $0.resume() }
    }

    func withdraw() -> Int {
        defer { credit = 0 }
        return credit
    }

    func leave() {
        receiver = nil
        if isHome {
            isHome = false
            engine.value.output = crossing
        } else {
            crossing.detach()
        }
    }

    func move(to receiver: any UpstreamReceiver, on eventLoop: any EventLoop) {
        self.receiver = receiver
        if eventLoop === home {
            isHome = true
            engine.value.output = self
            for item in crossing.take() { accept(item) }
            crossed()
        } else {
            crossing.attach(NIOLoopBound(self, eventLoop: eventLoop))
        }
    }

    func close() {
        tell { $0.close(.session) }
        crossing.detach()
        receiver = nil
        inbox = []
        inboxBytes = 0
    }

    // MARK: From the engine

    func accept(_ event: consuming UpstreamEvent) -> Bool {
        if inbox.isEmpty, credit > 0 || event.content.isFailure {
            credit = max(0, credit - 1)
            receiver?.receive(event)
            return false
        }
        inboxBytes += event.content.byteCount
        guard inboxBytes <= Congestion.most else {
            giveUp(event.request)
            return isCongested
        }
        if !joins(event) { inbox.append(event) }
        gathered += 1
        if gathered >= Congestion.count || inboxBytes >= Congestion.bytes { isCongested = true }
        return isCongested
    }

    /// An upstream that goes on although it is held back costs its own request, and not the session.
    private func giveUp(_ key: RequestKey) {
        cancel(key, .fault)
        receiver?.receive(UpstreamEvent(key, .tooFast(isRetryable: false), isLast: true))
    }

    /// Deltas of one text that wait can wait as one.
    private func joins(_ event: UpstreamEvent) -> Bool {
        guard !event.isLast, case .text(let more, final: false) = event.content, let last = inbox.last, last.request == event.request,
            !last.isLast, case .text(var text, final: false) = last.content
        else { return false }
        inbox.removeLast()
        text += more
        inbox.append(UpstreamEvent(event.request, .text(text, final: false)))
        return true
    }

    func took(_ bytes: Int) { receiver?.took(bytes) }

    func heard(_ bytes: Int, of request: RequestKey) { receiver?.heard(bytes, of: request) }

    fileprivate func accept(_ item: Crossing.Item) {
        switch item {
        case .event(let event): if accept(event) { tell { $0.hold() } }
        case .took(let bytes): took(bytes)
        case .heard(let bytes, let request): heard(bytes, of: request)
        }
    }

    /// What was on its way has arrived: the engine may have stopped because it was so much.
    fileprivate func crossed() {
        if !isCongested { tell { $0.resume() } }
    }
}

extension UpstreamEvent.Content {
    static func tooFast(isRetryable: Bool) -> Self {
        .failure(.upstreamError, message: "the answer came faster than it was read", retryAfterMilliseconds: nil, isRetryable: isRetryable)
    }

    fileprivate var isFailure: Bool { if case .failure = self { true } else { false } }
}

/// What may wait for a session before upstreams are held back, and half of which lets them go on.
private enum Congestion {
    static let count = 256
    static let bytes = 262_144
    /// What comes all the same: as much as is on its way when an upstream is held back.
    static let most = 1 << 20
}

/// From the engine's event loop to the session's, while they aren't the same, or while the session is on its way between two.
private final class Crossing: EngineOutput, Sendable {
    enum Item: Sendable {
        case event(UpstreamEvent)
        case took(Int)
        case heard(Int, RequestKey)
    }

    fileprivate struct State {
        var items: Deque<Item> = []
        var bytes = 0
        var link: NIOLoopBound<RoutedLink>?
        var isScheduled = false
    }

    private let state = Mutex(State())

    func accept(_ event: consuming UpstreamEvent) -> Bool {
        let bytes = event.content.byteCount
        let event = event
        return put(.event(event), bytes: bytes)
    }

    func took(_ bytes: Int) { _ = put(.took(bytes), bytes: 0) }

    func heard(_ bytes: Int, of request: RequestKey) { _ = put(.heard(bytes, request), bytes: 0) }

    private func put(_ item: Item, bytes: Int) -> Bool {
        let (loop, isCongested) = state.withLock { state in
            state.items.append(item)
            state.bytes += bytes
            return (state.schedule(), state.items.count >= Congestion.count || state.bytes >= Congestion.bytes)
        }
        wake(loop)
        return isCongested
    }

    func attach(_ link: NIOLoopBound<RoutedLink>) {
        wake(
            state.withLock { state in
                state.link = link
                state.isScheduled = false
                return state.schedule()
            })
    }

    func detach() { state.withLock { $0.link = nil } }

    func take() -> Deque<Item> {
        state.withLock { state in
            defer { (state.items, state.bytes, state.isScheduled) = ([], 0, false) }
            return state.items
        }
    }

    private func wake(_ eventLoop: (any EventLoop)?) {
        eventLoop?.execute { [self] in
            // The session may have gone on to another event loop in the meantime: what there is goes to where it is now.
            let (link, items) = state.withLock { state -> (NIOLoopBound<RoutedLink>?, Deque<Item>) in
                guard let link = state.link, link.eventLoop === eventLoop else { return (nil, []) }
                defer { (state.items, state.bytes, state.isScheduled) = ([], 0, false) }
                return (link, state.items)
            }
            for item in items { link?.value.accept(item) }
            link?.value.crossed()
        }
    }
}

extension Crossing.State {
    /// Whom to wake, if nobody has been.
    fileprivate mutating func schedule() -> (any EventLoop)? {
        guard !isScheduled, !items.isEmpty, let link else { return nil }
        isScheduled = true
        return link.eventLoop
    }
}
