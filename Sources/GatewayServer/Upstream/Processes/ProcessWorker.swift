// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Calls `kill(2)`, which methods named `kill` shadow.
private func sendSignal(_ signal: Int32, toGroup group: pid_t) { _ = kill(-group, signal) }

/// An event of the request that a worker serves.
enum WorkerEvent: Sendable {
    /// The request was written to the worker.
    case ready
    /// This many bytes of the response were read.
    case read(Int)
    case step(ResponseStream.Step)
    /// This many bytes of audio were written to the worker.
    case consumed(Int)
    /// A read is complete. The next one begins after ``WorkerHandler/allowNextRead()``.
    case checkpoint
    case failed(CallFailure)
    /// A reused worker ended or became unusable before it responded to this request. Another worker can serve the request.
    case stale(String)
}

/// A process that serves one request at a time, over a channel on its standard input and output. May be used from any event loop.
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
    func markIdle() { state.withLock { $0.idleSince = .now() } }

    /// Records the running process.
    ///
    /// - Returns: false when the worker was already killed
    func started(_ identifier: pid_t, channel: any Channel, handler: NIOLoopBound<WorkerHandler>) -> Bool {
        state.withLock { state in
            guard !state.isKilled else { return false }
            (state.identifier, state.channel, state.handler) = (identifier, channel, handler)
            return true
        }
    }

    /// Checks whether the process has exited by itself, even if one of its children keeps the pipes open, and notifies the handler.
    ///
    /// - Returns: whether the process has exited
    @discardableResult
    func checkExit() -> Bool {
        let (hasEnded, handler) = state.withLock { state -> (Bool, NIOLoopBound<WorkerHandler>?) in
            guard !state.hasEnded, !state.isKilled, state.identifier > 0 else { return (state.hasEnded, nil) }
            var information = siginfo_t()
            // The task that started the process reaps it.
            let result = waitid(P_PID, id_t(state.identifier), &information, WEXITED | WNOHANG | WNOWAIT)
            guard result == 0, information.si_signo == SIGCHLD else { return (false, nil) }
            state.hasEnded = true
            return (true, state.handler)
        }
        if let handler { handler.eventLoop.execute { handler.value.processExited() } }
        return hasEnded
    }

    /// Records that the process was reaped. From now on its pid may be reused.
    func reaped() {
        state.withLock { state in
            state.isKilled = true
            state.identifier = 0
            // Breaks the reference cycle with the handler.
            (state.channel, state.handler) = (nil, nil)
        }
    }

    var handler: NIOLoopBound<WorkerHandler>? { state.withLock { $0.handler } }

    /// Kills the process group immediately. Processes that have left the group are killed by the service after the channel has closed.
    func kill() {
        let channel = state.withLock { state -> (any Channel)? in
            guard !state.isKilled else { return nil }
            state.isKilled = true
            // The process hasn't been reaped, so its pid can't have been reused.
            if state.identifier > 0 { sendSignal(SIGKILL, toGroup: state.identifier) }
            return state.channel
        }
        channel?.close(promise: nil)
    }
}
