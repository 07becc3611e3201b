import GatewayCore
import GatewayTLS
import NIOCore
import Synchronization

/// Requests that ask the same at the same time share one call, and all get its answer.
///
/// What counts as the same is a digest of route, asker, `dedupe_key` and everything that is asked: who doesn't ask the same of the same route
/// can't get another's answer, and unless the route says `shared`, nobody gets another user's.
final class SharedAnswers: Sendable {
    typealias Digest = SHA256Digest

    private let answers = Mutex<[Digest: NIOLoopBound<SharedAnswer>]>([:])

    /// Nil when the request isn't to be shared.
    static func digest(of order: CallOrder, text: [UInt8], route: Route) -> Digest? {
        guard route.sharing != .off,
            let key = order.meta.first(where: { $0.key.elementsEqual("dedupe_key".utf8) })?.value ?? route.dedupeKey
        else { return nil }
        var hash = SHA256()
        // Lengths in front, so that nothing can look like something else.
        func add(_ part: [UInt8]) {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { hash.update(bufferPointer: $0) }
            hash.update(data: part)
        }
        add(Array(route.name.utf8))
        add(route.sharing == .shared ? [] : Array(order.session.description.utf8))
        add(key)
        add(text)
        add(order.lang ?? [])
        add([order.stream ? 1 : 0, order.output.text ? 1 : 0, order.output.audio ? 1 : 0])
        add(Array((order.output.format.map { "\($0)" } ?? "").utf8))
        add(order.output.voice ?? [])
        for entry in order.meta.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            add(entry.key)
            add(entry.value)
        }
        // Of one session, the conversation is the same, but for the first of the requests themselves.
        for line in order.conversation where route.sharing == .shared {
            add([line.speaker.rawValue])
            add(line.text)
        }
        return hash.finalize()
    }

    /// Takes part in an answer that is on its way, or begins one.
    ///
    /// - Parameters:
    ///   - receive: called on `eventLoop`
    ///   - lead: makes the request, when there is none yet
    func join(
        _ digest: Digest, on eventLoop: any EventLoop, receive: @escaping SharedAnswer.Receive,
        lead: (SharedAnswer) -> RequestPipeline
    ) -> SharedAnswer.Subscription {
        let (bound, isNew) = answers.withLock { answers in
            if let known = answers[digest] { return (known, false) }
            let answer = SharedAnswer(eventLoop: eventLoop) { [weak self] in self?.forget(digest) }
            let bound = NIOLoopBound(answer, eventLoop: eventLoop)
            answers[digest] = bound
            return (bound, true)
        }
        if isNew { bound.value.pipeline = lead(bound.value) }
        return SharedAnswer.Subscription(bound, eventLoop: eventLoop, leads: isNew, receive: receive)
    }

    private func forget(_ digest: Digest) { answers.withLock { $0[digest] = nil } }
}

/// One answer on its way to several requests. Belongs to the event loop of the first.
final class SharedAnswer: PipelineSink {
    typealias Receive = @Sendable (UpstreamEvent.Content, Bool, UpstreamEvent.Epilogue?) -> Void

    /// A request's part in it. Used on the request's own event loop.
    final class Subscription {
        private let answer: NIOLoopBound<SharedAnswer>
        private let id: ObjectIdentifier
        private let token: Token
        let leads: Bool

        /// What the subscription is known by.
        fileprivate final class Token: Sendable {}

        fileprivate init(_ answer: NIOLoopBound<SharedAnswer>, eventLoop: any EventLoop, leads: Bool, receive: @escaping Receive) {
            self.answer = answer
            self.leads = leads
            token = Token()
            id = ObjectIdentifier(token)
            let token = token
            SharedAnswer.on(answer, from: eventLoop) { $0.add(token, eventLoop: eventLoop, receive) }
        }

        func cancel() {
            let token = token
            answer.eventLoop.execute { [answer] in answer.value.remove(token) }
        }
    }

    private let eventLoop: any EventLoop
    private let forget: () -> Void
    var pipeline: RequestPipeline?
    private var subscribers: [(token: Subscription.Token, eventLoop: any EventLoop, receive: Receive)] = []
    /// What came so far, for those who come later.
    private var replay: [(content: UpstreamEvent.Content, isLast: Bool, epilogue: UpstreamEvent.Epilogue?)] = []
    private var replayBytes = 0
    private var isOpen = true
    /// It has gone on without being kept.
    private var isCut = false

    /// Once so much has come, nobody can join any more.
    private static let longestReplay = 262_144

    init(eventLoop: any EventLoop, forget: @escaping () -> Void) {
        self.eventLoop = eventLoop
        self.forget = forget
    }

    fileprivate static func on(
        _ answer: NIOLoopBound<SharedAnswer>, from eventLoop: any EventLoop, _ body: @escaping @Sendable (SharedAnswer) -> Void
    ) {
        if answer.eventLoop === eventLoop { body(answer.value) } else { answer.eventLoop.execute { body(answer.value) } }
    }

    private func add(_ token: Subscription.Token, eventLoop: any EventLoop, _ receive: @escaping Receive) {
        guard isOpen || !isCut && replay.last?.isLast == true else {
            // It was found while it could still be joined.
            let late = UpstreamEvent.Content.failure(
                .upstreamError, message: "the shared answer could not be joined any more", retryAfterMilliseconds: 0)
            return pass((late, true, nil), to: receive, on: eventLoop)
        }
        for part in replay { pass(part, to: receive, on: eventLoop) }
        if isOpen { subscribers.append((token, eventLoop, receive)) }
    }

    private func remove(_ token: Subscription.Token) {
        subscribers.removeAll { $0.token === token }
        guard subscribers.isEmpty, let pipeline else { return }
        close()
        self.pipeline = nil
        pipeline.cancel(.client, playedMilliseconds: nil)
    }

    func pipeline(
        _ pipeline: RequestPipeline, emits content: consuming UpstreamEvent.Content, isLast: Bool, epilogue: UpstreamEvent.Epilogue?
    ) {
        let part = (content: content, isLast: isLast, epilogue: epilogue)
        if isLast { self.pipeline = nil }
        for subscriber in subscribers { pass(part, to: subscriber.receive, on: subscriber.eventLoop) }
        replayBytes += part.content.byteCount
        if isOpen { replay.append(part) }
        if replayBytes > Self.longestReplay, isOpen || isCut {
            isCut = true
            replay = []
        }
        if isLast || isCut { close() }
        if isLast { subscribers = [] }
    }

    func pipeline(_ pipeline: RequestPipeline, took bytes: Int) {}

    /// In a task of the event loop that does nothing else.
    private func pass(
        _ part: (content: UpstreamEvent.Content, isLast: Bool, epilogue: UpstreamEvent.Epilogue?), to receive: @escaping Receive,
        on eventLoop: any EventLoop
    ) {
        eventLoop.execute { receive(part.content, part.isLast, part.epilogue) }
    }

    private func close() {
        guard isOpen else { return }
        isOpen = false
        forget()
    }
}
