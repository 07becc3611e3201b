// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOCore
import Synchronization

/// Request deduplication (single flight): identical concurrent requests share one call and its response.
///
/// Requests are identical when their digests of route, user (or session, without authentication), `dedupe_key`, claims and content are
/// equal. With `dedupe: shared` the user is excluded, so that users with the same claims share responses.
final class RequestDeduplication: Sendable {
    typealias Digest = SHA256Digest

    private let responses = Mutex<[Digest: NIOLoopBound<SharedResponse>]>([:])

    /// Returns the digest that identifies a request; nil when the request isn't deduplicated.
    static func digest(of request: borrowing UpstreamRequest, route: Route) -> Digest? {
        guard route.sharing != .off, case .text(let text) = request.input,
            let key = request.meta.first(where: { $0.key.elementsEqual("dedupe_key".utf8) })?.value ?? route.dedupeKey
        else { return nil }
        var hash = SHA256()
        // Each part is prefixed with its length, so that different parts can't have the same hash.
        func add(_ part: [UInt8]) {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { hash.update(bufferPointer: $0) }
            hash.update(data: part)
        }
        add(Array(route.name.utf8))
        let access = request.access
        // Marked, so that no user can have the name of another client's session.
        let subject = access.map { "user:" + $0.user } ?? "session:\(request.session)"
        add(route.sharing == .shared ? [] : Array(subject.utf8))
        add(key)
        add(text)
        add(request.lang ?? [])
        add([request.stream ? 1 : 0, request.output.text ? 1 : 0, request.output.audio ? 1 : 0])
        add(Array((request.output.format.map { "\($0)" } ?? "").utf8))
        add(request.output.voice ?? [])
        add(request.whisper)
        for entry in request.meta.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            add(entry.key)
            add(entry.value)
        }
        add([UInt8(truncatingIfNeeded: access?.claims.count ?? 0)])
        for entry in access?.claims ?? [] {
            add(entry.key)
            add(entry.value)
        }
        // Within a session the conversation differs only by the deduplicated requests themselves, so it isn't hashed.
        for line in request.conversation where route.sharing == .shared || access != nil {
            add([line.speaker.rawValue])
            add(line.text)
        }
        return hash.finalize()
    }

    /// Subscribes to the response of an identical request in flight, or starts a request.
    ///
    /// - Parameters:
    ///   - receive: called on `eventLoop` with each event
    ///   - makeRequest: makes the request when no identical one is in flight
    func join(
        _ digest: Digest, on eventLoop: any EventLoop, receive: @escaping SharedResponse.Receive,
        makeRequest: (SharedResponse) -> ActiveRequest
    ) -> SharedResponse.Subscription {
        let (bound, isNew) = responses.withLock { responses in
            if let known = responses[digest] { return (known, false) }
            let response = SharedResponse(eventLoop: eventLoop) { [weak self] in self?.remove(digest) }
            let bound = NIOLoopBound(response, eventLoop: eventLoop)
            responses[digest] = bound
            return (bound, true)
        }
        if isNew { bound.value.request = makeRequest(bound.value) }
        return SharedResponse.Subscription(bound, eventLoop: eventLoop, isLeader: isNew, receive: receive)
    }

    private func remove(_ digest: Digest) { responses.withLock { $0[digest] = nil } }
}

/// One response that is delivered to several requests. Confined to the event loop of the first request.
final class SharedResponse: UpstreamEventSink {
    typealias Receive = @Sendable (UpstreamEvent) -> Void

    /// The subscription of one request. Used on that request's event loop.
    final class Subscription {
        private let response: NIOLoopBound<SharedResponse>
        private let id: ObjectIdentifier
        private let token: Token
        /// Whether this request performs the call.
        let isLeader: Bool

        /// The identity of the subscription.
        fileprivate final class Token: Sendable {}

        fileprivate init(_ response: NIOLoopBound<SharedResponse>, eventLoop: any EventLoop, isLeader: Bool, receive: @escaping Receive) {
            self.response = response
            self.isLeader = isLeader
            token = Token()
            id = ObjectIdentifier(token)
            let token = token
            SharedResponse.on(response, from: eventLoop) { $0.add(token, eventLoop: eventLoop, receive) }
        }

        func cancel() {
            let token = token
            response.eventLoop.execute { [response] in response.value.remove(token) }
        }
    }

    private let eventLoop: any EventLoop
    /// Called when no more requests can join.
    private let onClose: () -> Void
    var request: ActiveRequest?
    private var subscribers: [(token: Subscription.Token, eventLoop: any EventLoop, receive: Receive)] = []
    /// The events delivered so far, for requests that join later.
    private var replay: [UpstreamEvent] = []
    private var replayBytes = 0
    private var isOpen = true
    /// Whether the replay was dropped because the response is too long.
    private var isReplayDropped = false

    /// Maximum size of the replay, in bytes. Beyond it no request can join.
    private static let maxReplayBytes = 262_144

    init(eventLoop: any EventLoop, onClose: @escaping () -> Void) {
        self.eventLoop = eventLoop
        self.onClose = onClose
    }

    fileprivate static func on(
        _ response: NIOLoopBound<SharedResponse>, from eventLoop: any EventLoop, _ body: @escaping @Sendable (SharedResponse) -> Void
    ) {
        if response.eventLoop === eventLoop { body(response.value) } else { response.eventLoop.execute { body(response.value) } }
    }

    private func add(_ token: Subscription.Token, eventLoop: any EventLoop, _ receive: @escaping Receive) {
        guard isOpen || !isReplayDropped && replay.last?.isLast == true else {
            // The response became too long between the lookup and the subscription.
            let late = UpstreamEvent(
                RequestKey(number: 0),
                .failure(.sharedResponseUnavailable, retryAfterMilliseconds: 0), isLast: true
            )
            return deliver(late, to: receive, on: eventLoop)
        }
        for event in replay { deliver(event, to: receive, on: eventLoop) }
        if isOpen { subscribers.append((token, eventLoop, receive)) }
    }

    private func remove(_ token: Subscription.Token) {
        subscribers.removeAll { $0.token === token }
        guard subscribers.isEmpty, let request else { return }
        close()
        self.request = nil
        request.cancel(.client, playedMilliseconds: nil)
    }

    func deliver(_ event: consuming UpstreamEvent) -> Bool {
        let event = event
        if event.isLast { request = nil }
        for subscriber in subscribers { deliver(event, to: subscriber.receive, on: subscriber.eventLoop) }
        replayBytes += event.content.byteCount
        if isOpen { replay.append(event) }
        if replayBytes > Self.maxReplayBytes, isOpen || isReplayDropped {
            isReplayDropped = true
            replay = []
        }
        if event.isLast || isReplayDropped { close() }
        if event.isLast { subscribers = [] }
        return true
    }

    /// Delivers an event in a separate event-loop task.
    private func deliver(_ event: UpstreamEvent, to receive: @escaping Receive, on eventLoop: any EventLoop) {
        eventLoop.execute { receive(event) }
    }

    private func close() {
        guard isOpen else { return }
        isOpen = false
        onClose()
    }
}
