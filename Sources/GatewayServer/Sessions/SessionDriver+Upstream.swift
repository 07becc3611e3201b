// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import NIOCore

/// Sends the session's requests to its upstream and receives the responses. Demand is issued as fast as the client receives them.
extension SessionDriver: UpstreamEventSink, ConversationSource, DemandSource {
    /// The maximum outstanding demand, in events.
    private static let demandSize = 64

    /// Sends the commands of the current input to the upstream, which may deliver responses synchronously.
    func dispatch() {
        guard !isDispatching, !loop.effects.commands.isEmpty else { return }
        isDispatching = true
        defer { isDispatching = false }
        let link = link ?? makeLink()
        var index = 0
        while index < loop.effects.commands.count {
            link.send(loop.effects.commands[index], audio: loop.effects.audio)
            index += 1
        }
        loop.effects.clearCommands()
    }

    private func makeLink() -> any UpstreamLink {
        let made = loop.upstreams.makeLink(for: self, id: session.id)
        link = made
        isLinkRemote = !made.isSynchronous
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
        guard loop.isHandlingInput else {
            let begun = loop.beginInput()
            coalesce(event)
            dispatch()
            flush()
            if begun { loop.endInput() }
            return true
        }
        coalesce(event)
        dispatch()
        return true
    }

    private func coalesce(_ event: consuming UpstreamEvent) {
        coalescer.process(event, at: loop.effects.now) { session.receive($0, effects: &loop.effects) }
        scheduleRelease()
    }

    /// Schedules the release of coalesced events at their deadline.
    private func scheduleRelease() {
        guard !isReleaseScheduled, let deadline = coalescer.deadline else { return }
        isReleaseScheduled = true
        let wait = max(.zero, deadline - loop.effects.now)
        loop.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait.nanoseconds)) { [weak self] in self?.release() }
    }

    private func release() {
        isReleaseScheduled = false
        // The session may have been transferred to another event loop.
        guard sessions[session.id] === self else { return }
        loop.withInput {
            coalescer.release(at: loop.effects.now) { session.receive($0, effects: &loop.effects) }
            dispatch()
            flush()
            scheduleRelease()
        }
    }

    package func routed(_ request: RequestKey, to tariff: RouteTariff) {
        session.setTariff(tariff, of: request, effects: &loop.effects)
    }

    package func consumed(_ bytes: Int) { session.upstreamConsumed(bytes) }

    package func played(_ bytes: Int, of request: RequestKey) { session.setPlayed(bytes, of: request) }

    package func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine] {
        session.history.conversation(before: request, lines: lines, bytes: bytes)
    }

    /// Updates the memory usage of undelivered upstream responses.
    func updateUpstreamMemory() {
        replaceLink()
        session.memoryUsage.upstreamAnswers = (link?.heldBytes ?? 0) + coalescer.heldBytes
    }

    /// Closes an outdated link when no request is in flight.
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

    /// Schedules demand when the session can receive more events than the outstanding demand.
    func scheduleDemand() {
        // While the gateway drains, events of a detached session would never be delivered.
        guard link != nil, isAttached || !loop.shared.isDraining else { return }
        guard !isDemandScheduled, demanded <= Self.demandSize / 2, wantedEvents > demanded else { return }
        isDemandScheduled = true
        loop.demand.append(self)
    }

    /// Issues demand to the upstream, as an input of its own.
    func demandEvents() {
        isDemandScheduled = false
        guard let link else { return }
        let missing = wantedEvents - demanded
        guard missing > 0 else { return }
        loop.withInput {
            demanded += missing
            link.demand(missing)
            flush()
        }
    }
}
