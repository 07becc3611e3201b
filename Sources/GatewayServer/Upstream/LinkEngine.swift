import GatewayCore
import NIOCore

/// Where the events of a session's requests go: its link, on the same event loop or on another.
protocol EngineOutput: AnyObject {
    /// - Returns: whether there is more than should wait: nothing is to come until ``LinkEngine/resume()``.
    func accept(_ event: consuming UpstreamEvent) -> Bool
    func took(_ bytes: Int)
    func heard(_ bytes: Int, of request: RequestKey)
}

/// The requests of one session that are in flight, on the event loop on which their connections are. It stays there when the session moves.
final class LinkEngine: PipelineSink {
    private enum Work {
        case own(RequestPipeline)
        /// The answer of another request is this one's as well. `untaken` is the size of the text until the answer begins, then 0.
        case shared(SharedAnswer.Subscription, untaken: Int)
    }

    let session: ULID
    private let loop: RosterLoop
    var output: (any EngineOutput)?
    private var works: [(key: RequestKey, work: Work)] = []
    /// What was spoken lately, for clients that say how much of it they have played.
    private var spoken: [(key: RequestKey, id: MessageID, text: SpokenText)] = []
    /// Whom the last request went to first.
    private var lastStage: RequestPipeline.Stage?
    private var isCongested = false
    private var isClosed = false
    /// Of shared answers, which can't be held back for one of many.
    private var bytesWhileCongested = 0

    private static let spokenKept = 8
    private static let mostWhileCongested = 1 << 20

    init(session: ULID, loop: RosterLoop) {
        self.session = session
        self.loop = loop
        loop.add(self)
    }

    /// What is in force on this event loop.
    var plan: UpstreamRoster.Plan { loop.plan }

    var heldBytes: Int {
        works.reduce(0) { sum, entry in
            if case .own(let pipeline) = entry.work { sum + pipeline.heldBytes } else { sum }
        } + spoken.reduce(0) { $0 + $1.text.heldBytes }
    }

    // MARK: From the session

    /// - Parameters:
    ///   - route: its index in the plan; nil when no route takes it
    func start(_ request: UpstreamRequest, plan: UpstreamRoster.Plan, route: Int?, conversation: [ConversationLine]) {
        guard !isClosed else { return }
        guard let route else {
            if case .text(let text) = request.input { output?.took(text.count) }
            return deliver(
                UpstreamEvent(
                    request.key,
                    .failure(.notFound, message: "no upstream takes this message", retryAfterMilliseconds: nil, isRetryable: false),
                    isLast: true))
        }
        let planned = plan.routes[route]
        let input: CallOrder.Input =
            switch request.input {
            case .text(let text): .text(text)
            case .audio(let format): .stream(format)
            }
        let order = CallOrder(
            session: session, id: request.id, route: planned.route.name, input: input, lang: request.lang, stream: request.stream,
            output: request.output, meta: request.meta, conversation: conversation)
        let stages = loop.stages(of: route, in: plan)
        lastStage = stages.first
        let pipeline = RequestPipeline(
            key: request.key, request: order, stages: stages, collectMaxBytes: planned.route.collectMaxBytes,
            speechFailures: planned.route.failsWithSpeech ? .fail : .skip, loop: loop.calls, sink: self)
        if case .text(let text) = request.input, let digest = SharedAnswers.digest(of: order, text: text, route: planned.route) {
            return share(pipeline, digest: digest, pool: stages.first?.target.pool)
        }
        works.append((request.key, .own(pipeline)))
        pipeline.begin()
    }

    func hear(_ chunk: [UInt8], of key: RequestKey) {
        guard let pipeline = pipeline(key) else {
            output?.took(chunk.count)
            return
        }
        pipeline.hear(chunk)
    }

    func endInput(of key: RequestKey) { pipeline(key)?.endInput() }

    func cancel(_ key: RequestKey, _ reason: CancelReason, playedMilliseconds: Int64?) {
        guard let index = works.firstIndex(where: { $0.key == key }) else { return }
        switch works.remove(at: index).work {
        case .own(let pipeline):
            keepSpoken(pipeline)
            pipeline.cancel(reason, playedMilliseconds: playedMilliseconds)
        case .shared(let subscription, let untaken):
            output?.took(untaken)
            subscription.cancel()
        }
        if let playedMilliseconds { played(playedMilliseconds, of: key) }
    }

    func clientState(_ state: ClientMessage.Status.State, replyTo: MessageID?, playedMilliseconds: Int64?) {
        if let replyTo, let playedMilliseconds, let known = spoken.last(where: { $0.id == replyTo }) {
            // While it plays, it is going to play the rest.
            if state != .playing { played(playedMilliseconds, of: known.key) }
        }
        lastStage?.maker.tell(state, of: session, replyTo: replyTo, playedMilliseconds: playedMilliseconds)
    }

    private func played(_ milliseconds: Int64, of key: RequestKey) {
        guard let known = spoken.last(where: { $0.key == key }) else { return }
        output?.heard(known.text.bytes(heardAt: milliseconds), of: key)
    }

    /// Nothing more is to come for now.
    func hold() {
        guard !isCongested else { return }
        isCongested = true
        for entry in works {
            if case .own(let pipeline) = entry.work { pipeline.pause() }
        }
    }

    /// There is room again.
    func resume() {
        guard isCongested else { return }
        isCongested = false
        for entry in works {
            if case .own(let pipeline) = entry.work { pipeline.resume() }
        }
    }

    func close(_ reason: CancelReason) {
        guard !isClosed else { return }
        isClosed = true
        let all = works
        works = []
        output = nil
        loop.remove(self)
        for entry in all {
            switch entry.work {
            case .own(let pipeline): pipeline.cancel(reason, playedMilliseconds: nil)
            case .shared(let subscription, _): subscription.cancel()
            }
        }
    }

    // MARK: From its requests

    func pipeline(
        _ pipeline: RequestPipeline, emits content: consuming UpstreamEvent.Content, isLast: Bool, epilogue: UpstreamEvent.Epilogue?
    ) {
        if isLast {
            keepSpoken(pipeline)
            works.removeAll { $0.key == pipeline.key }
        }
        deliver(UpstreamEvent(pipeline.key, content, isLast: isLast, epilogue: epilogue), of: pipeline)
    }

    func pipeline(_ pipeline: RequestPipeline, took bytes: Int) { output?.took(bytes) }

    private func deliver(_ event: consuming UpstreamEvent, of pipeline: RequestPipeline? = nil) {
        guard let output, output.accept(event) else { return }
        isCongested = true
        pipeline?.pause()
    }

    private func pipeline(_ key: RequestKey) -> RequestPipeline? {
        for entry in works where entry.key == key {
            if case .own(let pipeline) = entry.work { return pipeline }
        }
        return nil
    }

    private func keepSpoken(_ pipeline: RequestPipeline) {
        guard let text = pipeline.spoken else { return }
        spoken.append((pipeline.key, pipeline.request.id, text))
        if spoken.count > Self.spokenKept { spoken.removeFirst() }
    }

    // MARK: Shared answers

    private func share(_ pipeline: RequestPipeline, digest: SharedAnswers.Digest, pool: UpstreamPool?) {
        let key = pipeline.key
        let bound = NIOLoopBound(self, eventLoop: loop.calls.eventLoop)
        let subscription = loop.roster.shared.join(digest, on: loop.calls.eventLoop) { content, isLast, epilogue in
            bound.value.receiveShared(UpstreamEvent(key, content, isLast: isLast, epilogue: epilogue))
        } lead: { answer in
            pipeline.redirect(to: answer)
            return pipeline
        }
        if !subscription.leads { pool?.count { $0.shared &+= 1 } }
        works.append((key, .shared(subscription, untaken: pipeline.request.input.byteCount)))
        if subscription.leads { pipeline.begin() }
    }

    private func receiveShared(_ event: consuming UpstreamEvent) {
        let key = event.request
        guard let index = works.firstIndex(where: { $0.key == key }) else { return }
        if case .shared(let subscription, let untaken) = works[index].work, untaken > 0 {
            works[index].work = .shared(subscription, untaken: 0)
            output?.took(untaken)
        }
        if event.isLast { works.remove(at: index) }
        bytesWhileCongested = isCongested ? bytesWhileCongested + event.content.byteCount : 0
        guard bytesWhileCongested <= Self.mostWhileCongested || event.isLast else {
            // The others go on; this one would have to be kept.
            if case .shared(let subscription, _) = works.remove(at: index).work { subscription.cancel() }
            return deliver(UpstreamEvent(key, .tooFast(isRetryable: true), isLast: true))
        }
        deliver(event)
    }
}
