package import GatewayCore
import NIOCore

/// A session and its upstream: requests go out, responses come back, at the session's pace.
extension SessionDriver: UpstreamEventSink, ConversationSource, DemandSource {
    /// Events asked for at a time.
    private static let demandSize = 64

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
        let made = loop.upstreams.makeLink(for: self, id: session.id)
        link = made
        isLinkRemote = !made.isAtOnce
        demanded = wantedEvents
        made.demand(demanded)
        return made
    }

    private var wantedEvents: Int {
        guard !loop.isOverMemoryLimit else { return 0 }
        return session.wantedEvents(upTo: Self.demandSize, socketQueueBytes: loop.settings.socketQueueBytes)
    }

    package func deliver(_ event: consuming UpstreamEvent) -> Bool {
        demanded = max(0, demanded - 1)
        guard loop.isInTurn else {
            let begun = loop.beginTurn()
            coalesce(event)
            flush()
            if begun { loop.endTurn() }
            return true
        }
        coalesce(event)
        return true
    }

    private func coalesce(_ event: consuming UpstreamEvent) {
        coalescer.take(event, at: loop.turn.now) { session.receive($0, effects: &loop.turn) }
        scheduleRelease()
    }

    /// Has coalesced events released at their deadline.
    private func scheduleRelease() {
        guard !isReleaseScheduled, let deadline = coalescer.deadline else { return }
        isReleaseScheduled = true
        let wait = max(.zero, deadline - loop.turn.now)
        loop.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait.nanoseconds)) { [weak self] in self?.release() }
    }

    private func release() {
        isReleaseScheduled = false
        // The session may have moved to another event loop.
        guard sessions[session.id] === self else { return }
        loop.withTurn {
            coalescer.release(at: loop.turn.now) { session.receive($0, effects: &loop.turn) }
            flush()
            scheduleRelease()
        }
    }

    package func consumed(_ bytes: Int) { session.upstreamTook(bytes) }

    package func played(_ bytes: Int, of request: RequestKey) { session.heard(bytes, of: request) }

    package func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine] {
        session.history.conversation(before: request, lines: lines, bytes: bytes)
    }

    /// Updates the part of the ledger that requests hold on their way.
    func updateUpstreamMemory() {
        replaceLink()
        session.ledger.upstreamAnswers = (link?.heldBytes ?? 0) + coalescer.heldBytes
    }

    /// Closes an outdated link when nothing is under way on it.
    func replaceLink() {
        guard isLinkOutdated, session.inFlight.isEmpty else { return }
        isLinkOutdated = false
        closeLink()
    }

    func closeLink() {
        link?.close()
        link = nil
        demanded = 0
    }

    /// Schedules demand when there is room for more events than the upstream may still send.
    func scheduleDemand() {
        // Events that come without a connection while the gateway drains are never delivered.
        guard link != nil, isAttached || !loop.shared.isDraining else { return }
        guard !isDemandScheduled, demanded <= Self.demandSize / 2, wantedEvents > demanded else { return }
        isDemandScheduled = true
        loop.demand.append(self)
    }

    /// Allows the upstream more events, in a turn of its own.
    func demandEvents() {
        isDemandScheduled = false
        guard let link else { return }
        let missing = wantedEvents - demanded
        guard missing > 0 else { return }
        loop.withTurn {
            demanded += missing
            link.demand(missing)
            flush()
        }
    }
}
