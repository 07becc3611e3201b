import DequeModule
package import GatewayCore
import Synchronization

/// Which event loop has which session, and by which tokens it is found. Shared by all event loops.
///
/// Touched when a session begins, ends, or changes its connection, never for a message. It knows hashes of tokens only. That a token is found
/// doesn't mean that it is valid still: that is the session's to say.
package final class SessionRegistry: Sendable {
    package struct Limits: Sendable {
        /// `sessions.max`; `Int.max` when it is off.
        package var attached: Int
        /// `sessions.max_detached`; `Int.max` when it is off.
        package var detached: Int

        package init(attached: Int, detached: Int) {
            self.attached = attached
            self.detached = detached
        }
    }

    /// Where a token leads.
    package enum Finding: Sendable {
        case session(ULID, loop: Int)
        /// Its session is over.
        case ended
        case unknown
    }

    /// Whether there is room for a session, and which sessions ended to make it.
    package enum Room: Equatable, Sendable {
        /// There is, once this session has ended on its event loop. It can't be resumed any more.
        case displacing(ULID, loop: Int)
        case free
        case full
    }

    package enum Attachment: Sendable {
        case attached
        /// `sessions.max`
        case full
        /// The session has ended in the meantime.
        case ended
    }

    private struct Place {
        var loop: Int
        var client: ClientKey
        var tokens: [TokenHash] = []
        var isAttached: Bool
    }

    private struct State {
        var limits: Limits
        var places: [ULID: Place] = [:]
        var sessions: [TokenHash: ULID] = [:]
        var attached = 0
        /// Sessions without a connection in which something was accepted, in the order in which they lost it.
        var waiting = EvictionTable<ULID>()
        /// Those in which nothing was: their clients miss nothing.
        var unused = EvictionTable<ULID>()
        /// The times that restored sessions have waited, until they are put in order.
        var restored: [(id: ULID, waited: Instant.Duration)] = []
        /// Tokens of sessions that are over, the oldest first.
        var ended: Deque<TokenHash> = []
        var endedTokens: Set<TokenHash> = []

        var detached: Int { waiting.count + unused.count }
        /// As many sessions that are over are remembered as there may be live ones, but not without end.
        var mostEnded: Int {
            min(limits.attached, StoreBatch.mostEndedTokens / 2) + min(limits.detached, StoreBatch.mostEndedTokens / 2)
        }

        mutating func forgetTokens(of id: ULID) {
            for token in places[id]?.tokens ?? [] { sessions[token] = nil }
        }

        mutating func bury(_ tokens: [TokenHash]) {
            for token in tokens where endedTokens.insert(token).inserted { ended.append(token) }
            while ended.count > mostEnded, let oldest = ended.popFirst() { endedTokens.remove(oldest) }
        }

        mutating func detach(_ id: ULID, of client: ClientKey, isUnused: Bool) {
            if isUnused { unused.insert(id, of: client) } else { waiting.insert(id, of: client) }
        }

        /// - Returns: where it was.
        @discardableResult
        mutating func end(_ id: ULID) -> Int? {
            forgetTokens(of: id)
            waiting.remove(id)
            unused.remove(id)
            guard let place = places.removeValue(forKey: id) else { return nil }
            if place.isAttached { attached -= 1 }
            bury(place.tokens)
            return place.loop
        }

        /// Ends the waiting session that goes first for one of `client`.
        ///
        /// - Parameter spared: the session that lost its connection just now
        mutating func displace(for client: ClientKey, sparing spared: ULID? = nil) -> Room {
            let victim = unused.victim(for: client, single: true) ?? waiting.victim(for: client, sparing: spared) ?? spared
            guard let victim, let loop = end(victim) else { return .full }
            return .displacing(victim, loop: loop)
        }
    }

    private let state: Mutex<State>

    package init(limits: Limits) { state = Mutex(State(limits: limits)) }

    package var limits: Limits {
        get { state.withLock { $0.limits } }
        set { state.withLock { $0.limits = newValue } }
    }

    package var attached: Int { state.withLock { $0.attached } }
    package var detached: Int { state.withLock { $0.detached } }

    /// Counts a new session in, attached, if there is room. A waiting session of its client ends for it, or one of the client that has most.
    package func begin(_ id: ULID, of client: ClientKey, loop: Int) -> Room {
        state.withLock { state in
            guard state.attached < state.limits.attached else { return .full }
            let room = state.detached < state.limits.detached ? Room.free : state.displace(for: client)
            guard room != .full else { return .full }
            state.places[id] = Place(loop: loop, client: client, isAttached: true)
            state.attached += 1
            return room
        }
    }

    /// A session that the store has kept, without a connection. There may be more of them than `sessions.max_detached` says now.
    ///
    /// - Parameter waited: the time without a connection
    package func restore(_ id: ULID, of client: ClientKey, tokens: [TokenHash], isUnused: Bool, waited: Instant.Duration, loop: Int) {
        state.withLock { state in
            state.places[id] = Place(loop: loop, client: client, tokens: tokens, isAttached: false)
            state.detach(id, of: client, isUnused: isUnused)
            state.restored.append((id, waited))
            for token in tokens { state.sessions[token] = id }
        }
    }

    /// All sessions that the store has kept are there. They came loop by loop; from now on the one that waited longest is the oldest.
    package func orderRestored() {
        state.withLock { state in
            for (id, _) in state.restored.sorted(by: { ($0.waited, $1.id) > ($1.waited, $0.id) }) {
                guard let place = state.places[id], !place.isAttached else { continue }
                state.detach(id, of: place.client, isUnused: state.unused.contains(id))
            }
            state.restored = []
        }
    }

    /// Tokens of sessions that were over before the process began, the oldest first.
    package func restore(ended tokens: [TokenHash]) { state.withLock { $0.bury(tokens) } }

    /// The tokens of a session are these now, and no others lead to it.
    package func issue(_ tokens: [TokenHash], for id: ULID) {
        state.withLock { state in
            guard state.places[id] != nil else { return }
            state.forgetTokens(of: id)
            state.places[id]?.tokens = tokens
            for token in tokens { state.sessions[token] = id }
        }
    }

    /// The event loop that has a session, or is about to have it.
    package func loop(of id: ULID) -> Int? { state.withLock { $0.places[id]?.loop } }

    package func find(_ token: TokenHash) -> Finding {
        state.withLock { state in
            if let id = state.sessions[token], let place = state.places[id] { return .session(id, loop: place.loop) }
            return state.endedTokens.contains(token) ? .ended : .unknown
        }
    }

    /// A session gets a connection of `client` on this loop. Unless it is attached then, nothing has changed.
    package func attach(_ id: ULID, of client: ClientKey, loop: Int) -> Attachment {
        state.withLock { state in
            guard let place = state.places[id] else { return .ended }
            if !place.isAttached {
                guard state.attached < state.limits.attached else { return .full }
                state.attached += 1
                state.waiting.remove(id)
                state.unused.remove(id)
            }
            state.places[id]?.isAttached = true
            state.places[id]?.loop = loop
            state.places[id]?.client = client
            return .attached
        }
    }

    /// A session lost its connection. When more wait than may, one of them ends, which may be this one.
    ///
    /// - Parameter isUnused: nothing was accepted in it
    package func detach(_ id: ULID, isUnused: Bool) -> Room {
        state.withLock { state in
            guard let place = state.places[id], place.isAttached else { return .free }
            state.places[id]?.isAttached = false
            state.attached -= 1
            state.detach(id, of: place.client, isUnused: isUnused)
            return state.detached > state.limits.detached ? state.displace(for: place.client, sparing: id) : .free
        }
    }

    package func end(_ id: ULID) { _ = state.withLock { $0.end(id) } }
}

extension SessionRegistry.Limits {
    package init(_ configuration: GatewayConfiguration) {
        self.init(
            attached: GatewaySizes.orOff(configuration.sessions.max), detached: GatewaySizes.orOff(configuration.sessions.maxDetached)
        )
    }
}
