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

    private struct Place {
        var loop: Int
        var tokens: [TokenHash]
        var isAttached: Bool
    }

    private struct State {
        var limits: Limits
        var places: [ULID: Place] = [:]
        var sessions: [TokenHash: ULID] = [:]
        var attached = 0
        /// Tokens of sessions that are over, the oldest first.
        var ended: Deque<TokenHash> = []
        var endedTokens: Set<TokenHash> = []

        var detached: Int { places.count - attached }
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
    }

    private let state: Mutex<State>

    package init(limits: Limits) { state = Mutex(State(limits: limits)) }

    package var limits: Limits {
        get { state.withLock { $0.limits } }
        set { state.withLock { $0.limits = newValue } }
    }

    package var attached: Int { state.withLock { $0.attached } }
    package var detached: Int { state.withLock { $0.detached } }

    /// Counts a new session in, attached. False when there are as many as may be.
    package func begin(_ id: ULID, loop: Int) -> Bool {
        state.withLock { state in
            guard state.attached < state.limits.attached, state.detached < state.limits.detached else { return false }
            state.places[id] = Place(loop: loop, tokens: [], isAttached: true)
            state.attached += 1
            return true
        }
    }

    /// A session that the store has kept, without a connection. There may be more of them than `sessions.max_detached` says now.
    package func restore(_ id: ULID, tokens: [TokenHash], loop: Int) {
        state.withLock { state in
            state.places[id] = Place(loop: loop, tokens: tokens, isAttached: false)
            for token in tokens { state.sessions[token] = id }
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

    /// A session got a connection on this loop. False when it had none and there are as many attached as may be; nothing has changed then.
    package func attach(_ id: ULID, loop: Int) -> Bool {
        state.withLock { state in
            guard let place = state.places[id] else { return false }
            if !place.isAttached {
                guard state.attached < state.limits.attached else { return false }
                state.attached += 1
            }
            state.places[id]?.isAttached = true
            state.places[id]?.loop = loop
            return true
        }
    }

    /// A session lost its connection.
    ///
    /// - Returns: whether there are more such than may be.
    package func detach(_ id: ULID) -> Bool {
        state.withLock { state in
            guard state.places[id]?.isAttached == true else { return false }
            state.places[id]?.isAttached = false
            state.attached -= 1
            return state.detached > state.limits.detached
        }
    }

    package func end(_ id: ULID) {
        state.withLock { state in
            state.forgetTokens(of: id)
            guard let place = state.places.removeValue(forKey: id) else { return }
            if place.isAttached { state.attached -= 1 }
            state.bury(place.tokens)
        }
    }
}

extension SessionRegistry.Limits {
    package init(_ configuration: GatewayConfiguration) {
        self.init(
            attached: GatewaySizes.orOff(configuration.sessions.max), detached: GatewaySizes.orOff(configuration.sessions.maxDetached)
        )
    }
}
