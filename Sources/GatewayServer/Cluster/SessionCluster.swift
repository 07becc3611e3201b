// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging
import NIOCore
import Synchronization

/// The sessions of all nodes: brings the session that a client resumes to this node, and hands sessions over to others.
package final class SessionCluster: Sendable {
    /// Handles a request of another node, and returns the reply; an empty one means that the request can't be handled.
    typealias Handler = @Sendable (_ message: [UInt8]) async -> [UInt8]

    /// The outcome of ``bring(_:)``.
    package enum Arrival: Sendable {
        /// The session belongs to this node now. Its calls in flight continue over the stream, if its former owner is alive.
        case session(StoredSession, handover: [UInt8]?, stream: NodeStream?)
        /// The session is on this node already.
        case here
        case rejected(ResumeError)
        /// The store or the owner can't be reached; the client should try again.
        case unavailable
    }

    private struct State {
        /// The sessions that are being brought here, with the tasks that wait for the end.
        var pending: [TokenHash: [CheckedContinuation<Void, Never>]] = [:]
        /// The sessions that are being brought here, until an event loop has them.
        var arriving: Set<ULID> = []
        /// The records of hand-overs until an event loop has their sessions, because the store may fail in between.
        var handovers: [ULID: [UInt8]] = [:]
        /// The streams of calls in flight that arrived before their session.
        var streams: [ULID: NodeStream] = [:]
    }

    package let directory: NodeDirectory
    package let store: any SharedStore
    package let links: NodeLinks
    package let access: ClusterAccess
    let registry: SessionRegistry
    /// The loops of the sessions, by their number.
    let mailbox: @Sendable (Int) -> (any SessionMailbox)?
    private let state = Mutex(State())
    let logger: Logger
    let counters = ClusterCounters()
    /// The handlers of requests that aren't about hand-overs.
    private let handlers = Mutex<[NodeRequestKind: Handler]>([:])
    /// Accepts the streams of requests of operators.
    private let operatorStreams = Mutex<NodeLinks.StreamHandler?>(nil)

    /// How long a client waits for its session: until the lease of an owner that died has ended, even if the owner was suspended first.
    package var patience: Duration { directory.lease * 3 + .seconds(2) }

    /// The pause before an owner that can't be reached is tried again, or its lease looked up.
    private static let retryPause = Duration.milliseconds(40)
    /// Maximum number of streams that wait for their session. More belong to hand-overs that have failed.
    private static let maximumStreams = 1024

    package init(
        directory: NodeDirectory, store: any SharedStore, links: NodeLinks, access: ClusterAccess, registry: SessionRegistry,
        mailbox: @escaping @Sendable (Int) -> (any SessionMailbox)?, logger: Logger
    ) {
        self.directory = directory
        self.store = store
        self.links = links
        self.access = access
        self.registry = registry
        self.mailbox = mailbox
        self.logger = logger
        links.handle { [weak self] kind, message, node in
            await self?.answer(kind, message, from: node) ?? []
        } streams: { [weak self] stream, label in
            self?.keep(stream, label)
        }
        store.setLossHandler { [weak self] id, loss in self?.lost(id, loss) }
    }

    // MARK: Bringing a session here

    /// Brings the session of a resume token to this node, and calls `completion` on any thread.
    package func bring(_ request: ResumeRequest, completion: @escaping @Sendable (Arrival) -> Void) {
        // Ends after three times the duration of a lease and two seconds at the latest.
        Task { completion(await bring(request)) }
    }

    /// Brings the session of a resume token to this node.
    ///
    /// An owner that is alive hands the session over. Otherwise the session is claimed once the owner's lease has ended.
    package func bring(_ request: ResumeRequest) async -> Arrival {
        guard let token = request.token else { return .rejected(.unknown) }
        // Clients that present the same token find the session here after the first one.
        guard begin(token) else {
            await waitForEnd(of: token)
            return .here
        }
        defer { end(token) }
        let deadline = ContinuousClock.now + patience
        while ContinuousClock.now < deadline {
            do {
                if let arrival = try await attempt(request, token) { return arrival }
            } catch {
                logger.debug("a session can't be brought here yet", metadata: ["error": "\(error)"])
            }
            guard (try? await Task.sleep(for: Self.retryPause)) != nil else { break }
        }
        return .unavailable
    }

    /// - Returns: nil to try again
    private func attempt(_ request: ResumeRequest, _ token: TokenHash) async throws -> Arrival? {
        let location: SessionLocation
        do {
            location = try await store.locate(token)
        } catch {
            // A client isn't kept waiting for a store that is down.
            return .unavailable
        }
        guard case .session(let id, let owner, let epoch) = location else {
            logger.debug("no session for a resume token", metadata: ["reason": location == .ended ? "ended" : "unknown"])
            return .rejected(location == .ended ? .expired : .unknown)
        }
        // A client may present the session's other token at the same time.
        guard state.withLock({ $0.arriving.insert(id).inserted }) else { return nil }
        var isArriving = false
        defer { if !isArriving { arrived(id) } }
        let arrival = try await bring(id, owner: owner, epoch: epoch, request, token)
        if case .session = arrival { isArriving = true }
        return arrival
    }

    private func bring(
        _ id: ULID, owner: ULID, epoch: UInt64, _ request: ResumeRequest, _ token: TokenHash
    ) async throws -> Arrival? {
        if owner == directory.record.id {
            if registry.loop(of: id) != nil { return .here }
        } else if let node = directory.other(owner) {
            return try await handOver(id, request, token, from: node)
        } else if let node = try await directory.refresh()[owner] {
            return try await handOver(id, request, token, from: node)
        }
        switch try await store.claim(id, epoch: epoch) {
        case .claimed(let stored):
            logger.info("session claimed", metadata: ["session_id": "\(id)", "owner": "\(owner)"])
            counters.claimed.add(1, ordering: .relaxed)
            return .session(stored, handover: nil, stream: nil)
        case .owned(let owner, _) where owner == directory.record.id && registry.loop(of: id) == nil:
            // It was handed over to this node, but couldn't be loaded then.
            return try await load(id)
        case .owned: return nil
        case .gone: return gone(id)
        }
    }

    private func gone(_ id: ULID) -> Arrival {
        logger.warning("a session isn't in the store any more", metadata: ["session_id": "\(id)"])
        return .rejected(.unknown)
    }

    /// Loads a session that was handed over to this node.
    func load(_ id: ULID) async throws -> Arrival {
        guard let stored = try await store.loadSession(id) else { return gone(id) }
        let (handover, stream) = state.withLock { ($0.handovers.removeValue(forKey: id), $0.streams.removeValue(forKey: id)) }
        return .session(stored, handover: handover, stream: stream)
    }

    /// Whether a session was handed over to this node, and no event loop has it.
    func isHandedOver(_ id: ULID) -> Bool { state.withLock { $0.handovers[id] != nil } }

    /// Reserves the arrival of a session. Returns false while it arrives already.
    func beginArrival(_ id: ULID) -> Bool { state.withLock { $0.arriving.insert(id).inserted } }

    /// Allows a session to be brought here again. To be called when an event loop has it, or has discarded it.
    func arrived(_ id: ULID) { state.withLock { _ = $0.arriving.remove(id) } }

    private func handOver(_ id: ULID, _ request: ResumeRequest, _ token: TokenHash, from node: NodeRecord) async throws -> Arrival? {
        guard let address = SocketEndpoint(node.address) else { throw NodeLinkError.unreachable("invalid address") }
        let message = HandOverRequest(
            session: id, token: token, last: request.last, isMalformed: request.isMalformed, user: request.user,
            address: directory.record.address)
        let reply: HandOverReply
        counters.requests.add(1, ordering: .relaxed)
        do {
            reply = try HandOverReply(
                record: try await links.request(
                    message.record, kind: NodeRequestKind.handOver.rawValue, to: node.id, at: address,
                    timeout: min(.seconds(5), directory.lease)))
        } catch {
            counters.failures.add(1, ordering: .relaxed)
            // The owner may be dead: its lease decides.
            _ = try await directory.refresh()
            throw error
        }
        switch reply {
        case .granted(let epoch, let record, let hasStream):
            store.adopt(id, epoch: epoch)
            counters.brought.add(1, ordering: .relaxed)
            let isComplete = state.withLock { state in
                state.handovers[id] = record
                return !hasStream || state.streams[id] != nil
            }
            if !isComplete {
                logger.warning("calls in flight are lost: the link broke during a hand-over", metadata: ["session_id": "\(id)"])
            }
            return try await load(id)
        case .rejected(let error): return .rejected(error)
        case .elsewhere: return nil
        case .unavailable: return .unavailable
        }
    }

    // MARK: Handing a session over

    private func answer(_ kind: UInt8, _ message: [UInt8], from node: ULID) async -> [UInt8] {
        switch NodeRequestKind(rawValue: kind) {
        case .handOver:
            guard let request = try? HandOverRequest(record: message) else { return [] }
            return await handOver(request, to: node).record
        case .userNotice: return access.answer(message)
        case .push, .sessions:
            guard let kind = NodeRequestKind(rawValue: kind) else { return [] }
            return await handlers.withLock { $0[kind] }?(message) ?? []
        case nil: return []
        }
    }

    /// Sets the handler of a kind of requests.
    func handle(_ kind: NodeRequestKind, _ handler: @escaping Handler) { handlers.withLock { $0[kind] = handler } }

    /// Sets the handler of the streams of operators' requests.
    func handleOperatorStreams(_ handler: @escaping NodeLinks.StreamHandler) { operatorStreams.withLock { $0 = handler } }

    private func handOver(_ request: HandOverRequest, to node: ULID) async -> HandOverReply {
        guard let loop = registry.loop(of: request.session), let mailbox = mailbox(loop) else { return .elsewhere }
        let departure = await withCheckedContinuation { continuation in
            mailbox.depart(request) { continuation.resume(returning: $0) }
        }
        switch departure {
        case .rejected(let error): return .rejected(error)
        case .elsewhere: return .elsewhere
        case .ready(let record, let hasRequests):
            var epoch: UInt64?
            do {
                epoch = try await store.handOver(request.session, to: node)
            } catch {
                mailbox.finishDeparture(of: request.session, .failed)
                return .unavailable
            }
            guard let epoch else {
                mailbox.finishDeparture(of: request.session, .fenced)
                return .elsewhere
            }
            var stream: NodeStream?
            if hasRequests, let address = SocketEndpoint(request.address) {
                stream = try? await links.openStream(to: node, at: address, label: Array("\(request.session)".utf8)).get()
            }
            mailbox.finishDeparture(of: request.session, .left(stream))
            counters.handedOver.add(1, ordering: .relaxed)
            logger.info("session handed over", metadata: ["session_id": "\(request.session)", "to": "\(node)"])
            return .granted(epoch: epoch, record: record, hasStream: stream != nil)
        }
    }

    // MARK: Losing a session

    private func lost(_ id: ULID, _ loss: SessionLoss) {
        switch loss {
        case .fenced: counters.fenced.add(1, ordering: .relaxed)
        case .gone: counters.gone.add(1, ordering: .relaxed)
        }
        guard let loop = registry.loop(of: id) else { return forget(id) }
        mailbox(loop)?.lose(id, loss)
    }

    /// Drops all sessions, because this node doesn't own them any more.
    package func loseAll() { for id in registry.ids { lost(id, .fenced) } }

    // MARK: Waiting

    private func begin(_ token: TokenHash) -> Bool {
        state.withLock { state in
            guard state.pending[token] == nil else { return false }
            state.pending[token] = []
            return true
        }
    }

    private func waitForEnd(of token: TokenHash) async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                guard state.pending[token] != nil else { return true }
                state.pending[token]?.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    private func end(_ token: TokenHash) {
        for waiter in state.withLock({ $0.pending.removeValue(forKey: token) }) ?? [] { waiter.resume() }
    }

    private func keep(_ stream: NodeStream, _ label: [UInt8]) {
        if label.first == OperatorRequest.mark {
            guard let handler = operatorStreams.withLock({ $0 }) else { return stream.close(.refused) }
            return handler(stream, label)
        }
        guard let id = ULID(String(decoding: label, as: UTF8.self)) else { return stream.close(.fault) }
        let replaced = state.withLock { state -> NodeStream? in
            guard state.streams.count < Self.maximumStreams || state.streams[id] != nil else { return stream }
            return state.streams.updateValue(stream, forKey: id)
        }
        replaced?.close(.refused)
    }

    /// Forgets what a session that is lost left here, and closes the stream of its calls.
    private func forget(_ id: ULID) {
        let stream = state.withLock { state in
            state.handovers[id] = nil
            return state.streams.removeValue(forKey: id)
        }
        stream?.close(.refused)
    }
}
