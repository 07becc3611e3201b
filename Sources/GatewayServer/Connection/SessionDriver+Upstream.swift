package import GatewayCore
import NIOCore

/// A session and the upstreams of its routes: what it asks goes there, what they answer comes back, at its pace.
extension SessionDriver {
    /// Performs the commands of the turn. The upstream may answer at once, from inside.
    func dispatch() {
        guard !isDispatching, !loop.turn.commands.isEmpty else { return }
        isDispatching = true
        defer { isDispatching = false }
        let link = link ?? makeLink()
        var index = 0
        while index < loop.turn.commands.count {
            link.send(loop.turn.commands[index], audio: loop.turn.audio)
            index += 1
        }
        loop.turn.clearCommands()
    }

    private func makeLink() -> any UpstreamLink {
        let made = loop.upstreams.makeLink(for: self, session: session.id)
        link = made
        demanded = wantedEvents
        made.demand(demanded)
        return made
    }

    private var wantedEvents: Int {
        guard !loop.isOverMemoryLimit else { return 0 }
        return session.wantedEvents(upTo: Self.demandSize, socketQueueBytes: loop.settings.socketQueueBytes)
    }

    package func receive(_ event: consuming UpstreamEvent) {
        demanded = max(0, demanded - 1)
        guard loop.isInTurn else {
            let begun = loop.beginTurn()
            take(event)
            flush()
            if begun { loop.endTurn() }
            return
        }
        take(event)
    }

    func take(_ event: consuming UpstreamEvent) {
        coalescer.take(event, at: loop.turn.now) { session.receive($0, effects: &loop.turn) }
        scheduleRelease()
    }

    /// What was gathered goes on when its time has come.
    private func scheduleRelease() {
        guard !isReleasing, let deadline = coalescer.deadline else { return }
        isReleasing = true
        let wait = max(0, deadline.nanoseconds(since: loop.turn.now))
        loop.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) { [weak self] in self?.release() }
    }

    private func release() {
        isReleasing = false
        // It may be another event loop's by now.
        guard loop.sessions[session.id] === self else { return }
        let begun = loop.beginTurn()
        coalescer.release(at: loop.turn.now) { session.receive($0, effects: &loop.turn) }
        flush()
        scheduleRelease()
        if begun { loop.endTurn() }
    }

    package func took(_ bytes: Int) { session.upstreamTook(bytes) }

    package func heard(_ bytes: Int, of request: RequestKey) { session.heard(bytes, of: request) }

    package func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine] {
        session.history.conversation(before: request, lines: lines, bytes: bytes)
    }

    /// What its requests hold on their way.
    func weigh() {
        replaceLink()
        session.ledger.upstreamAnswers = (link?.heldBytes ?? 0) + coalescer.heldBytes
    }

    /// Asks for a helping where there is room for more than the upstream may still send.
    func wantHelping() {
        // Without a connection nobody will hear of what comes now that the gateway goes down.
        guard link != nil, isAttached || !loop.shared.isDraining else { return }
        guard !isContinuing, demanded <= Self.demandSize / 2, wantedEvents > demanded else { return }
        isContinuing = true
        loop.helpings.append(self)
    }

    /// Lets the upstream go on, in a turn of its own.
    func help() {
        isContinuing = false
        guard let link else { return }
        let missing = wantedEvents - demanded
        guard missing > 0 else { return }
        let begun = loop.beginTurn()
        demanded += missing
        link.demand(missing)
        flush()
        if begun { loop.endTurn() }
    }

    /// What came of a turn goes to the connection, or stays in the outbox.
    func flush() {
        if let connection { connection.socket?.flush() } else { settle() }
    }
}
