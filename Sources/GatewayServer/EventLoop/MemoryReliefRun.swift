import GatewayCore
import Synchronization

/// One search for memory over all event loops: each tells what its sessions hold, the last one decides, and those that have to act do.
///
/// There is one search at a time, and none begins within ``interval`` of the one before it. Searches for newcomers free more than others, so only
/// one for newcomers keeps the next of them waiting.
final class MemoryReliefRun: Sendable {
    enum Start: Sendable {
        case begun, joined
        /// The last search was a moment ago.
        case tooSoon
    }

    private struct State {
        var isRunning = false
        /// The decision has been made: newcomers join the next search.
        var isDecided = false
        /// Event loops that haven't answered.
        var awaited = 0
        var usages: [MemoryRelief.Usage] = []
        /// Newcomers that this search is for, and those that came after its decision.
        var newcomers: [@Sendable () -> Void] = []
        var late: [@Sendable () -> Void] = []
        var next = Instant(nanoseconds: .min)
        var nextForNewcomer = Instant(nanoseconds: .min)
    }

    private let state = Mutex(State())

    /// The time between the beginnings of two searches.
    static let interval = Instant.Duration.milliseconds(10)

    /// Begins a search, or joins the one that is under way.
    ///
    /// - Parameters:
    ///   - newcomer: called by some thread after the search; not called when it is too soon for one
    ///   - loops: how many will call ``report(_:)``
    ///   - now: on the clock that all event loops share
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

    /// Adds the memory of one event loop's sessions.
    ///
    /// - Returns: the sessions of all loops, and whether a newcomer waits, when this was the last loop; nil before.
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

    /// Counts an event loop that has taken its steps. After the last one the newcomers are called.
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
