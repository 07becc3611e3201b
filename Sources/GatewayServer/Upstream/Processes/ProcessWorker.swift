import GatewayCore
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Beside methods that are called `kill`.
private func sendSignal(_ signal: Int32, toGroup group: pid_t) { _ = kill(-group, signal) }

/// What a worker says, on the event loop of whoever has it at work.
enum WorkerEvent: Sendable {
    /// It takes the request.
    case ready
    /// So many bytes of the answer have come.
    case heard(Int)
    case step(AnswerStream.Step)
    /// So many bytes of audio are on their way.
    case took(Int)
    /// More is read when this has been heard of, and answered by ``WorkerHandler/readOn()``.
    case checkpoint
    case failed(CallFailure)
    /// It had served before, and has ended, or was found unusable, before it said anything to this request: another one can take it.
    case stale(String)
}

/// A process that works on one request at a time. Its pipes are a channel; it may be used from any event loop.
final class ProcessWorker: Sendable {
    struct State {
        var identifier: pid_t = 0
        var channel: (any Channel)?
        var handler: NIOLoopBound<WorkerHandler>?
        var isKilled = false
        var hasEnded = false
        var served = 0
        var idleSince = NIODeadline.now()
    }

    let number: UInt64
    private let state = Mutex(State())

    init(number: UInt64) { self.number = number }

    var served: Int { state.withLock { $0.served } }
    var idleSince: NIODeadline { state.withLock { $0.idleSince } }
    var isKilled: Bool { state.withLock { $0.isKilled } }

    func count() { state.withLock { $0.served += 1 } }
    func rest() { state.withLock { $0.idleSince = .now() } }

    /// The process is there. False when it was killed before.
    func started(_ identifier: pid_t, channel: any Channel, handler: NIOLoopBound<WorkerHandler>) -> Bool {
        state.withLock { state in
            guard !state.isKilled else { return false }
            (state.identifier, state.channel, state.handler) = (identifier, channel, handler)
            return true
        }
    }

    /// Looks whether the process has ended by itself, though something that it has started may hold its pipes, and has it taken for that.
    ///
    /// - Returns: whether it has.
    @discardableResult
    func noticeEnd() -> Bool {
        let (hasEnded, handler) = state.withLock { state -> (Bool, NIOLoopBound<WorkerHandler>?) in
            guard !state.hasEnded, !state.isKilled, state.identifier > 0 else { return (state.hasEnded, nil) }
            var information = siginfo_t()
            // Reaping is left to the task that started it.
            let result = waitid(P_PID, id_t(state.identifier), &information, WEXITED | WNOHANG | WNOWAIT)
            guard result == 0, information.si_signo == SIGCHLD else { return (false, nil) }
            state.hasEnded = true
            return (true, state.handler)
        }
        if let handler { handler.eventLoop.execute { handler.value.processEnded() } }
        return hasEnded
    }

    /// The process is being reaped: its number isn't its own any more.
    func reaped() {
        state.withLock { state in
            state.isKilled = true
            state.identifier = 0
            // The handler knows the worker, too.
            (state.channel, state.handler) = (nil, nil)
        }
    }

    var handler: NIOLoopBound<WorkerHandler>? { state.withLock { $0.handler } }

    /// Kills it and all of its process group at once; what has left that follows when its service sees the channel closed.
    func kill() {
        let channel = state.withLock { state -> (any Channel)? in
            guard !state.isKilled else { return nil }
            state.isKilled = true
            // Nobody has reaped it so far, so that the number is its own.
            if state.identifier > 0 { sendSignal(SIGKILL, toGroup: state.identifier) }
            return state.channel
        }
        channel?.close(promise: nil)
    }
}
