import GatewayCore
import Synchronization

/// A memory reclaim over all event loops: each reports the memory usage of its sessions, the last one plans the steps, and the loops
/// concerned perform them.
///
/// At most one reclaim runs at a time, and none starts within ``interval`` of the previous one. Reclaims for new sessions free more than
/// others; therefore only a reclaim for new sessions delays the next one for them.
final class MemoryReliefRun: Sendable {
    enum Start: Sendable {
        case begun, joined
        /// The last reclaim started less than ``interval`` ago.
        case tooSoon
    }

    private struct State {
        var isRunning = false
        /// Whether the steps are planned: further new sessions aren't considered.
        var isDecided = false
        /// The number of event loops that haven't reported or finished.
        var awaited = 0
        var usages: [MemoryRelief.Usage] = []
        /// The callbacks of the new sessions that this reclaim is for; ``late`` has those that joined after planning.
        var newcomers: [@Sendable () -> Void] = []
        var late: [@Sendable () -> Void] = []
        var next = Instant(nanoseconds: .min)
        var nextForNewcomer = Instant(nanoseconds: .min)
    }

    private let state = Mutex(State())

    /// The minimum time between the starts of two reclaims.
    static let interval = Instant.Duration.milliseconds(10)

    /// Starts a reclaim, or joins the running one.
    ///
    /// - Parameters:
    ///   - newcomer: called on an arbitrary thread after the reclaim; not called when the result is ``Start/tooSoon``
    ///   - loops: the number of event loops that will call ``report(_:)``
    ///   - now: the time of the clock that all event loops share
    func begin(for newcomer: (@Sendable () -> Void)?, loops: Int, now: Instant) -> Start {
        state.withLock { state in
            if state.isRunning {
                guard let newcomer else { return .joined }
                if state.isDecided {
                    state.late.append(newcomer)
                } else {
                    state.newcomers.append(newcomer)
                    state.nextForNewcomer = state.next
                }
                return .joined
            }
            guard now >= (newcomer == nil ? state.next : state.nextForNewcomer) else { return .tooSoon }
            state.next = now + Self.interval
            if newcomer != nil { state.nextForNewcomer = state.next }
            state.isRunning = true
            state.isDecided = false
            state.awaited = loops
            if let newcomer { state.newcomers.append(newcomer) }
            return .begun
        }
    }

    /// Adds the memory usage of one event loop's sessions.
    ///
    /// - Returns: for the last loop, the memory usage of the sessions of all loops and whether a new session waits; nil for the others.
    func report(_ usages: [MemoryRelief.Usage]) -> (usages: [MemoryRelief.Usage], isForNewcomer: Bool)? {
        state.withLock { state in
            state.usages += usages
            state.awaited -= 1
            guard state.awaited == 0 else { return nil }
            state.isDecided = true
            defer { state.usages = [] }
            return (state.usages, !state.newcomers.isEmpty)
        }
    }

    /// Sets the number of event loops that will call ``finish()``.
    func expect(_ loops: Int) { state.withLock { $0.awaited = loops } }

    /// Records that an event loop has performed its steps. After the last one, calls the new sessions' callbacks.
    func finish() {
        let newcomers = state.withLock { state -> [@Sendable () -> Void] in
            state.awaited -= 1
            guard state.awaited <= 0 else { return [] }
            state.isRunning = false
            defer { (state.newcomers, state.late) = ([], []) }
            return state.newcomers + state.late
        }
        for newcomer in newcomers { newcomer() }
    }
}
