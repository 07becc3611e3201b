// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Synchronization

/// A memory reclaim over all event loops: each reports the memory usage of its sessions, the last one plans the steps, and the loops
/// concerned perform them.
///
/// At most one reclaim runs at a time, and none starts within ``interval`` of the previous one. Because a reclaim for new sessions frees more
/// than other reclaims, it isn't delayed by them, only by the previous reclaim for new sessions.
final class MemoryReclaimRun: Sendable {
    enum Start: Sendable {
        case begun, joined
        /// The last reclaim started less than ``interval`` ago.
        case tooSoon
    }

    private struct State {
        var isRunning = false
        /// Whether the steps are planned: further new sessions aren't considered.
        var isPlanned = false
        /// The number of event loops that haven't reported or finished.
        var awaited = 0
        var usages: [MemoryReclaim.Usage] = []
        /// The callbacks of the new sessions that this reclaim is for; ``late`` has those that joined after planning.
        var newSessions: [@Sendable () -> Void] = []
        var late: [@Sendable () -> Void] = []
        var next = Instant(nanoseconds: .min)
        var nextForNewSession = Instant(nanoseconds: .min)
    }

    private let state = Mutex(State())

    /// The minimum time between the starts of two reclaims.
    static let interval = Instant.Duration.milliseconds(10)

    /// Starts a reclaim, or joins the running one.
    ///
    /// - Parameters:
    ///   - newSession: called on an arbitrary thread after the reclaim; not called when the result is ``Start/tooSoon``
    ///   - loops: the number of event loops that will call ``report(_:)``
    ///   - now: the time of the clock that all event loops share
    func begin(for newSession: (@Sendable () -> Void)?, loops: Int, now: Instant) -> Start {
        state.withLock { state in
            if state.isRunning {
                guard let newSession else { return .joined }
                if state.isPlanned {
                    state.late.append(newSession)
                } else {
                    state.newSessions.append(newSession)
                    state.nextForNewSession = state.next
                }
                return .joined
            }
            guard now >= (newSession == nil ? state.next : state.nextForNewSession) else { return .tooSoon }
            state.next = now + Self.interval
            if newSession != nil { state.nextForNewSession = state.next }
            state.isRunning = true
            state.isPlanned = false
            state.awaited = loops
            if let newSession { state.newSessions.append(newSession) }
            return .begun
        }
    }

    /// Adds the memory usage of one event loop's sessions.
    ///
    /// - Returns: for the last loop, the memory usage of the sessions of all loops and whether a new session waits; nil for the others.
    func report(_ usages: [MemoryReclaim.Usage]) -> (usages: [MemoryReclaim.Usage], isForNewSession: Bool)? {
        state.withLock { state in
            state.usages += usages
            state.awaited -= 1
            guard state.awaited == 0 else { return nil }
            state.isPlanned = true
            defer { state.usages = [] }
            return (state.usages, !state.newSessions.isEmpty)
        }
    }

    /// Sets the number of event loops that will call ``finish()``.
    func expect(_ loops: Int) { state.withLock { $0.awaited = loops } }

    /// Records that an event loop has performed its steps. After the last one, calls the new sessions' callbacks.
    func finish() {
        let newSessions = state.withLock { state -> [@Sendable () -> Void] in
            state.awaited -= 1
            guard state.awaited <= 0 else { return [] }
            state.isRunning = false
            defer { (state.newSessions, state.late) = ([], []) }
            return state.newSessions + state.late
        }
        for newSession in newSessions { newSession() }
    }
}
