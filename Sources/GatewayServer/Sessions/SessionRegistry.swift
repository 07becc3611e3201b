// SPDX-License-Identifier: Apache-2.0

import DequeModule
package import GatewayCore
import Synchronization

/// The registry of sessions: maps sessions to event loops and resume tokens to sessions. Shared by all event loops.
///
/// Locked when a session begins, ends, or is attached or detached, never for a message. Contains only hashes of tokens. A registered token
/// may be invalid; the session validates it.
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

    /// The result of looking up a token.
    package enum LookupResult: Sendable {
        case session(ULID, loop: Int)
        /// The session of the token has ended.
        case ended
        case unknown
    }

    /// The admission of a session, and the session that was displaced for it.
    package enum Admission: Equatable, Sendable {
        /// Admitted; the displaced session can't be resumed any more, and the caller ends it on its event loop.
        case displacing(ULID, loop: Int)
        case free
        case full
    }

    package enum Attachment: Sendable {
        case attached
        /// `sessions.max` is reached.
        case full
        /// The session has ended in the meantime.
        case ended
    }

    private struct Entry {
        var loop: Int
        var client: ClientKey
        var tokens: [TokenHash] = []
        var isAttached: Bool
    }

    private struct State {
        var limits: Limits
        var entries: [ULID: Entry] = [:]
        var sessions: [TokenHash: ULID] = [:]
        var attached = 0
        /// The highest values of ``attached`` and of all sessions.
        var peakAttached = 0
        var peakTotal = 0
        /// The detached sessions that accepted messages, in the order in which they were detached.
        var used = EvictionTable<ULID>()
        /// The detached sessions that never accepted a message: their clients would miss nothing.
        var unused = EvictionTable<ULID>()
        /// The restored sessions and how long they have been detached, until ``orderRestored()``.
        var restored: [(id: ULID, detachedDuration: Instant.Duration)] = []
        /// Whether ``orderRestored()`` was called: sessions that arrive later are the last in the order.
        var isOrdered = false
        /// The tokens of ended sessions, the oldest first.
        var ended: Deque<TokenHash> = []
        var endedTokens: Set<TokenHash> = []

        var detached: Int { used.count + unused.count }

        mutating func updatePeaks() {
            peakAttached = max(peakAttached, attached)
            peakTotal = max(peakTotal, entries.count)
        }

        /// The limit of ``ended``: the maximum number of live sessions, but at most ``StoreBatch/maxEndedTokens``.
        var maximumEndedTokens: Int {
            min(limits.attached, StoreBatch.maxEndedTokens / 2) + min(limits.detached, StoreBatch.maxEndedTokens / 2)
        }

        mutating func removeTokens(of id: ULID) {
            for token in entries[id]?.tokens ?? [] { sessions[token] = nil }
        }

        mutating func recordEnded(_ tokens: [TokenHash]) {
            for token in tokens where endedTokens.insert(token).inserted { ended.append(token) }
            while ended.count > maximumEndedTokens, let oldest = ended.popFirst() { endedTokens.remove(oldest) }
        }

        mutating func detach(_ id: ULID, of client: ClientKey, isUnused: Bool) {
            if isUnused { unused.insert(id, of: client) } else { used.insert(id, of: client) }
        }

        /// - Returns: the event loop of the session; nil when it isn't registered.
        @discardableResult
        mutating func end(_ id: ULID) -> Int? {
            guard let entry = forget(id) else { return nil }
            recordEnded(entry.tokens)
            return entry.loop
        }

        @discardableResult
        mutating func forget(_ id: ULID) -> Entry? {
            removeTokens(of: id)
            used.remove(id)
            unused.remove(id)
            guard let entry = entries.removeValue(forKey: id) else { return nil }
            if entry.isAttached { attached -= 1 }
            return entry
        }

        /// Ends the detached session to evict for a session of `client`.
        ///
        /// - Parameter spared: the session that was just detached, evicted only if there is no other
        mutating func displace(for client: ClientKey, sparing spared: ULID? = nil) -> Admission {
            let victim = unused.victim(for: client, single: true) ?? used.victim(for: client, sparing: spared) ?? spared
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

    /// The attached sessions: now, at most so far, and the limit.
    package var attachedFigure: ResourceFigure {
        state.withLock { ResourceFigure(current: $0.attached, peak: $0.peakAttached, maximum: $0.limits.attached) }
    }

    /// All sessions, attached and detached. Their limit is the sum of both limits.
    package var figure: ResourceFigure {
        state.withLock { state in
            let (limit, isUnlimited) = state.limits.attached.addingReportingOverflow(state.limits.detached)
            return ResourceFigure(current: state.entries.count, peak: state.peakTotal, maximum: isUnlimited ? .max : limit)
        }
    }

    /// Registers a new, attached session if the limits admit it. At the limit of detached sessions, one is displaced: one of the
    /// same client, or of the client that has most.
    package func begin(_ id: ULID, of client: ClientKey, loop: Int) -> Admission {
        state.withLock { state in
            guard state.attached < state.limits.attached else { return .full }
            let admission = state.detached < state.limits.detached ? Admission.free : state.displace(for: client)
            guard admission != .full else { return .full }
            state.entries[id] = Entry(loop: loop, client: client, isAttached: true)
            state.attached += 1
            state.updatePeaks()
            return admission
        }
    }

    /// Registers a detached session from the store. Their number may exceed the current `sessions.max_detached`.
    ///
    /// - Parameter detachedDuration: how long the session has been detached
    package func restore(
        _ id: ULID, of client: ClientKey, tokens: [TokenHash], isUnused: Bool, detachedDuration: Instant.Duration, loop: Int
    ) {
        state.withLock { state in
            state.entries[id] = Entry(loop: loop, client: client, tokens: tokens, isAttached: false)
            state.detach(id, of: client, isUnused: isUnused)
            if !state.isOrdered { state.restored.append((id, detachedDuration)) }
            for token in tokens { state.sessions[token] = id }
            state.updatePeaks()
        }
    }

    /// Sorts the restored sessions, which were registered loop by loop, by how long they have been detached. Called after all are
    /// registered.
    package func orderRestored() {
        state.withLock { state in
            for (id, _) in state.restored.sorted(by: { ($0.detachedDuration, $1.id) > ($1.detachedDuration, $0.id) }) {
                guard let entry = state.entries[id], !entry.isAttached else { continue }
                state.detach(id, of: entry.client, isUnused: state.unused.contains(id))
            }
            state.restored = []
            state.isOrdered = true
        }
    }

    /// Registers the tokens of sessions that ended before startup, the oldest first.
    package func restore(ended tokens: [TokenHash]) { state.withLock { $0.recordEnded(tokens) } }

    /// Replaces the tokens of a session.
    package func issue(_ tokens: [TokenHash], for id: ULID) {
        state.withLock { state in
            guard state.entries[id] != nil else { return }
            state.removeTokens(of: id)
            state.entries[id]?.tokens = tokens
            for token in tokens { state.sessions[token] = id }
        }
    }

    /// Returns the event loop that has a session or to which it is being transferred.
    package func loop(of id: ULID) -> Int? { state.withLock { $0.entries[id]?.loop } }

    package func find(_ token: TokenHash) -> LookupResult {
        state.withLock { state in
            if let id = state.sessions[token], let entry = state.entries[id] { return .session(id, loop: entry.loop) }
            return state.endedTokens.contains(token) ? .ended : .unknown
        }
    }

    /// Attaches a session to a connection of `client` on `loop`. Changes nothing unless the result is ``Attachment/attached``.
    package func attach(_ id: ULID, of client: ClientKey, loop: Int) -> Attachment {
        state.withLock { state in
            guard let entry = state.entries[id] else { return .ended }
            if !entry.isAttached {
                guard state.attached < state.limits.attached else { return .full }
                state.attached += 1
                state.updatePeaks()
                state.used.remove(id)
                state.unused.remove(id)
            }
            state.entries[id]?.isAttached = true
            state.entries[id]?.loop = loop
            state.entries[id]?.client = client
            return .attached
        }
    }

    /// Detaches a session. Above the limit of detached sessions one of them is displaced, possibly this one.
    ///
    /// - Parameter isUnused: whether the session never accepted a message
    package func detach(_ id: ULID, isUnused: Bool) -> Admission {
        state.withLock { state in
            guard let entry = state.entries[id], entry.isAttached else { return .free }
            state.entries[id]?.isAttached = false
            state.attached -= 1
            state.detach(id, of: entry.client, isUnused: isUnused)
            return state.detached > state.limits.detached ? state.displace(for: entry.client, sparing: id) : .free
        }
    }

    package func end(_ id: ULID) { _ = state.withLock { $0.end(id) } }

    /// Removes a session that another gateway has. Unlike those of an ended session, its tokens become unknown here.
    package func forget(_ id: ULID) { _ = state.withLock { $0.forget(id) } }

    /// The ids of all sessions.
    package var ids: [ULID] { state.withLock { Array($0.entries.keys) } }
}

extension SessionRegistry.Limits {
    package init(_ configuration: GatewayConfiguration) {
        self.init(
            attached: ConfiguredLimit.unlimitedIfZero(configuration.sessions.max),
            detached: ConfiguredLimit.unlimitedIfZero(configuration.sessions.maxDetached)
        )
    }
}
