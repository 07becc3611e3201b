// SPDX-License-Identifier: Apache-2.0

package import DequeModule
package import GatewayCore
package import NIOCore

/// A session's link to requests whose calls stay on another node, where a ``LinkProxy`` has them.
///
/// Starts no requests: the ``ContinuedLink`` of which it is a part does. Closes itself when its requests have ended. If the stream breaks,
/// each of them fails once, retryably.
package final class RemoteLink: UpstreamLink, NodeStream.Reader {
    private struct Queued {
        let event: UpstreamEvent
        /// The cost of the message; 0 for an event that this node made.
        let cost: Int
    }

    private let stream: NodeStream
    /// The requests that haven't ended: their last event wasn't received yet.
    private var open: [RequestKey]
    /// The requests of which events may be delivered.
    private var known: Set<RequestKey>
    /// Bytes that the session counts as queued, and the other node hasn't reported as consumed.
    private var unconsumed: Int
    private var session: (any UpstreamEventSink & ConversationSource)?
    private var credit = 0
    private var inbox: Deque<Queued> = []
    private var inboxBytes = 0
    private var isClosed = false
    /// Called when an event waits for demand.
    var onQueued: () -> Void = {}

    /// Maximum size of an audio command. Even, so that samples aren't divided.
    private static let longestChunk = 1 << 20

    /// - Parameters:
    ///   - keys: the requests in flight
    ///   - unconsumed: the bytes that the session counts as queued for its upstreams
    ///   - eventLoop: the session's event loop, on which this is called
    package init(
        over stream: NodeStream, keys: [RequestKey], unconsumed: Int, session: any UpstreamEventSink & ConversationSource,
        on eventLoop: any EventLoop
    ) {
        self.stream = stream
        open = keys
        known = Set(keys)
        self.unconsumed = max(0, unconsumed)
        self.session = session
        stream.attach(NIOLoopBound(self, eventLoop: eventLoop))
        closeIfDone()
    }

    /// Whether the request belongs to this link.
    func contains(_ key: RequestKey) -> Bool { known.contains(key) }

    /// Whether all requests have ended and all events were delivered.
    var isDone: Bool { isClosed && inbox.isEmpty }

    package var isSynchronous: Bool { false }
    package var heldBytes: Int { inboxBytes }

    // MARK: From the session

    package func send(_ command: UpstreamCommand, audio: [UInt8]) {
        switch command {
        case .start(let request):
            session?.consumed(request.input.byteCount)
            session?.deliver(UpstreamEvent(request.key, .restarted, isLast: true))
        case .audio(let key, let chunk):
            guard !isClosed, open.contains(key) else {
                session?.consumed(chunk.count)
                return
            }
            unconsumed += chunk.count
            var start = chunk.lowerBound
            while start < chunk.upperBound {
                let end = min(start + Self.longestChunk, chunk.upperBound)
                stream.send(UpstreamCommand.audio(key, chunk: start..<end).record(audio: audio))
                start = end
            }
        case .audioEnd(let key): if open.contains(key) { stream.send(command.record(audio: [])) }
        case .cancel(let key, _): cancel(key, command)
        case .clientState: if !isClosed { stream.send(command.record(audio: [])) }
        }
    }

    /// Cancels a request and drops its undelivered events.
    private func cancel(_ key: RequestKey, _ command: UpstreamCommand) {
        guard known.remove(key) != nil else { return }
        var freed = 0
        inbox.removeAll { queued in
            guard queued.event.request == key else { return false }
            freed += queued.cost
            inboxBytes -= queued.event.content.byteCount
            return true
        }
        open.removeAll { $0 == key }
        guard !isClosed else { return }
        stream.consumed(freed)
        stream.send(command.record(audio: []))
        closeIfDone()
    }

    package func demand(_ events: Int) {
        credit += events
        while credit > 0, let queued = inbox.popFirst() {
            inboxBytes -= queued.event.content.byteCount
            credit -= 1
            stream.consumed(queued.cost)
            deliver(queued.event)
        }
    }

    private func deliver(_ event: UpstreamEvent) {
        if event.isLast { known.remove(event.request) }
        session?.deliver(event)
    }

    package func withdraw() -> Int {
        defer { credit = 0 }
        return credit
    }

    package func detach() {
        session = nil
        stream.detach()
    }

    package func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop) {
        self.session = session
        if !isClosed { stream.attach(NIOLoopBound(self, eventLoop: eventLoop)) }
    }

    package func close() {
        session = nil
        (inbox, inboxBytes, open, known) = ([], 0, [], [])
        guard !isClosed else { return }
        isClosed = true
        stream.close(.cancelled)
    }

    // MARK: From the other node

    package func receive(_ messages: Deque<[UInt8]>) {
        for message in messages {
            guard !isClosed else { return }
            let cost = NodeStream.cost(of: message)
            guard let item = try? UpstreamItem(record: message) else {
                stream.close(.fault)
                return failOpenRequests()
            }
            guard case .event(let event) = item else {
                stream.consumed(cost)
                receive(item)
                continue
            }
            // Events may cross the cancellation of their request.
            guard let index = open.firstIndex(of: event.request) else {
                stream.consumed(cost)
                continue
            }
            if event.isLast { open.remove(at: index) }
            enqueue(event, cost: cost)
            closeIfDone()
        }
    }

    private func receive(_ item: UpstreamItem) {
        switch item {
        case .event: break
        case .consumed(let bytes): release(bytes)
        case .played(let bytes, let request): session?.played(bytes, of: request)
        case .routed(let request, let tariff): if known.contains(request) { session?.routed(request, to: tariff) }
        }
    }

    /// Delivers an event, or queues it until there is demand. Failures need none.
    private func enqueue(_ event: UpstreamEvent, cost: Int) {
        if inbox.isEmpty, credit > 0 || event.content.isFailure {
            credit = max(0, credit - 1)
            stream.consumed(cost)
            return deliver(event)
        }
        inbox.append(Queued(event: event, cost: cost))
        inboxBytes += event.content.byteCount
        onQueued()
    }

    package func hasRoom() {}

    package func closed(_ ending: StreamEnding) { if !isClosed { failOpenRequests() } }

    /// Ends the requests whose calls are lost.
    private func failOpenRequests() {
        isClosed = true
        let lost = open
        open = []
        release(unconsumed)
        for key in lost where known.contains(key) { enqueue(UpstreamEvent(key, .restarted, isLast: true), cost: 0) }
    }

    /// Closes the stream when no request is left.
    private func closeIfDone() {
        guard open.isEmpty, !isClosed else { return }
        isClosed = true
        stream.close(.done)
        release(unconsumed)
    }

    /// Reports bytes of the client as consumed, at most those that are queued.
    private func release(_ bytes: Int) {
        let bytes = min(bytes, unconsumed)
        unconsumed -= bytes
        if bytes > 0 { session?.consumed(bytes) }
    }
}

extension UpstreamEvent.Content {
    /// The failure of a request whose node is gone.
    static var restarted: Self { .failure(.gatewayRestarted, retryAfterMilliseconds: 0, isRetryable: true) }
}
