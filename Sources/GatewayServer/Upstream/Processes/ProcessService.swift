// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Logging
import NIOCore
import NIOPosix
import Subprocess
import Synchronization
import SystemPackage

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// An upstream of kind `process`: a pool of local worker processes, started on demand, reused, and replaced after a number of requests.
final class ProcessService: UpstreamService {
    private struct State {
        /// Idle workers, the longest idle first.
        var idle: [ProcessWorker] = []
        var workers: [UInt64: ProcessWorker] = [:]
        var lastNumber: UInt64 = 0
        var isRetired = false
    }

    private let configuration: GatewayConfiguration.Upstream
    private let pool: UpstreamPool
    private let logger: Logger
    private let state = Mutex(State())
    private let starts: AsyncStream<Start>
    private let starting: AsyncStream<Start>.Continuation
    private let launcher: ProcessLauncher

    private struct Start: Sendable {
        let worker: ProcessWorker
        let eventLoop: any EventLoop
        let ready: @Sendable (CallFailure?) -> Void
    }

    /// - Throws: ``ProcessLauncher/Missing``
    init(_ configuration: GatewayConfiguration.Upstream, pool: UpstreamPool, logger: Logger) throws {
        self.configuration = configuration
        self.pool = pool
        self.logger = logger
        launcher = try ProcessLauncher()
        (starts, starting) = AsyncStream.makeStream()
    }

    func makeTransport(on loop: CallContext) -> any UpstreamTransport { ProcessTransport(service: self, loop: loop) }

    /// Leases an idle worker or starts a new one.
    ///
    /// - Parameter ready: called on any thread, with nil when the worker is running or with the failure when it can't be started
    func lease(on eventLoop: any EventLoop, ready: @escaping @Sendable (CallFailure?) -> Void) -> ProcessWorker {
        let (worker, isNew) = state.withLock { state -> (ProcessWorker, Bool) in
            // The most recently used worker, so that the others can reach `idle_close`.
            while let worker = state.idle.popLast() {
                if !worker.isKilled, !worker.checkExit() { return (worker, false) }
            }
            state.lastNumber += 1
            let worker = ProcessWorker(number: state.lastNumber)
            state.workers[worker.number] = worker
            return (worker, true)
        }
        if isNew { starting.yield(Start(worker: worker, eventLoop: eventLoop, ready: ready)) } else { ready(nil) }
        return worker
    }

    /// Releases a worker that has completed its response.
    func release(_ worker: ProcessWorker) {
        worker.count()
        worker.markIdle()
        let isKept = state.withLock { state in
            guard !state.isRetired, configuration.maxRequests == 0 || worker.served < configuration.maxRequests, !worker.isKilled else {
                return false
            }
            state.idle.append(worker)
            return true
        }
        if !isKept { worker.kill() }
    }

    // MARK: Lifecycle

    func run() async {
        await ControlGroup.sweep()
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                while (try? await Task.sleep(for: .milliseconds(200))) != nil {
                    killIdle()
                    checkExits()
                }
            }
            for await start in starts {
                group.addTask { [self] in await self.run(start) }
            }
            // Cancelled or retired: no process may survive.
            killAll()
            group.cancelAll()
        }
    }

    func retire() async {
        let idle = state.withLock { state in
            state.isRetired = true
            defer { state.idle = [] }
            return state.idle
        }
        for worker in idle { worker.kill() }
        // Busy workers are killed when their request completes.
        while state.withLock({ !$0.workers.isEmpty }), (try? await Task.sleep(for: .milliseconds(50))) != nil {}
        starting.finish()
    }

    /// Kills workers that have been idle for `idle_close`.
    private func killIdle() {
        let limit = NIODeadline.now() - .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.idleClose))
        let old = state.withLock { state in
            let old = state.idle.filter { $0.idleSince <= limit }
            state.idle.removeAll { $0.idleSince <= limit }
            return old
        }
        for worker in old { worker.kill() }
    }

    /// Detects processes that have exited while one of their children keeps their output open.
    private func checkExits() {
        for worker in state.withLock({ Array($0.workers.values) }) { worker.checkExit() }
    }

    private func killAll() {
        let all = state.withLock { state in
            state.isRetired = true
            state.idle = []
            return state.workers.values
        }
        for worker in all { worker.kill() }
    }

    /// Starts, supervises and reaps one process.
    private func run(_ start: Start) async {
        let worker = start.worker
        defer {
            state.withLock { state in
                state.workers[worker.number] = nil
                state.idle.removeAll { $0 === worker }
            }
        }
        guard Self.isExecutable(configuration.command[0]) else {
            return start.ready(.unreachable("program \(configuration.command[0]) not found or not executable"))
        }
        let pipes: (input: Pipe, output: Pipe)
        do {
            pipes = (try Pipe(), try Pipe())
        } catch {
            return start.ready(.unreachable("no pipe: \(error)"))
        }
        let group = await ControlGroup.make()
        let arguments = launcher.arguments(
            parent: getpid(), memoryLimit: configuration.memoryLimit, group: group?.path, command: configuration.command)
        var options = PlatformOptions()
        options.processGroupID = 0
        let subprocess = Configuration(
            executable: .path(FilePath(launcher.path)), arguments: Arguments(arguments), environment: .custom(Self.environment),
            platformOptions: options)
        pool.count { $0.connections += 1 }
        let hasChannel = Atomic<Bool>(false)
        do {
            let result = try await Subprocess.run(
                subprocess, input: .fileDescriptor(FileDescriptor(rawValue: pipes.input.read), closeAfterSpawningProcess: true),
                output: .fileDescriptor(FileDescriptor(rawValue: pipes.output.write), closeAfterSpawningProcess: true),
                error: .fileDescriptor(.standardError, closeAfterSpawningProcess: false)
            ) { [self] execution in
                hasChannel.store(true, ordering: .relaxed)
                await supervise(start, identifier: execution.processIdentifier.value, input: pipes.input.write, output: pipes.output.read)
                worker.kill()
                // Even if the process has exited by itself, other processes of its group may remain.
                try? execution.send(signal: .kill, toProcessGroup: true)
                await group?.kill()
            }
            worker.reaped()
            if case .exited(let code) = result.terminationStatus, code != 0 {
                logger.warning("process ended", metadata: ["upstream": "\(pool.name)", "status": .stringConvertible(code)])
            }
        } catch {
            worker.reaped()
            // Once the process runs, the channel owns the pipes.
            if !hasChannel.load(ordering: .relaxed) {
                close(pipes.input.write)
                close(pipes.output.read)
            }
            start.ready(.unreachable("the process can't be started: \(error)"))
        }
        pool.count { $0.connections -= 1 }
        await remove(group)
    }

    /// Whether a program is executable, by its path or in a directory of `PATH`.
    static func isExecutable(_ program: String) -> Bool {
        if program.contains("/") { return isProgram(program) }
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        return directories.contains { isProgram("\($0)/\(program)") }
    }

    /// Whether a path is a regular file that this user may execute. For root, access(2) alone grants more than exec(2).
    private static func isProgram(_ path: String) -> Bool {
        guard let mode = FileMode(of: path), mode.isFile, mode.isExecutable else { return false }
        return access(path, X_OK) == 0
    }

    /// The gateway's environment without its `PARLEY_` variables, which may contain secrets, and without those of the service manager.
    private static let environment: [Environment.Key: String] = {
        var found: [Environment.Key: String] = [:]
        for (name, value) in ProcessInfo.processInfo.environment {
            guard !name.hasPrefix("PARLEY_"), !ActivatedSockets.isServiceManagerVariable(name) else { continue }
            if let key = Environment.Key(rawValue: name) { found[key] = value }
        }
        return found
    }()

    /// Connects the pipes to a channel. Returns when the output ends or the process is killed.
    private func supervise(_ start: Start, identifier: pid_t, input: CInt, output: CInt) async {
        let worker = start.worker
        let limit = ConfiguredLimit.unlimitedIfZero(configuration.maxMessageBytes)
        let (ignoresBanner, pool) = (configuration.ignoreBanner, pool)
        do {
            let channel = try await NIOPipeBootstrap(group: start.eventLoop)
                .channelOption(.allowRemoteHalfClosure, value: true)
                // One read per pass: a process that writes without pause must not starve the other connections.
                .channelOption(.maxMessagesPerRead, value: 1)
                .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: UpstreamReadSize.single))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = WorkerHandler(limit: limit, ignoresBanner: ignoresBanner) {
                            worker.kill()
                        } report: { reason in
                            pool.logWarning("process killed", details: reason)
                        }
                        try channel.pipeline.syncOperations.addHandler(handler)
                        _ = worker.started(identifier, channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
                    }
                }
                .takingOwnershipOfDescriptors(input: output, output: input).get()
            start.ready(worker.isKilled ? .unreachable("the process was killed before it was ready") : nil)
            if worker.isKilled { channel.close(promise: nil) }
            try? await channel.closeFuture.get()
        } catch {
            start.ready(.unreachable("no pipe: \(error)"))
        }
    }

    /// Removes a control group, and retries for up to 2 s while killed processes exit.
    private func remove(_ group: ControlGroup?) async {
        guard let group else { return }
        for _ in 0..<100 where await !group.remove() { try? await Task.sleep(for: .milliseconds(20)) }
    }
}

/// A pipe whose ends aren't inherited by other processes.
private struct Pipe {
    let read: CInt
    let write: CInt

    init() throws {
        var ends: (CInt, CInt) = (-1, -1)
        guard withUnsafeMutableBytes(of: &ends, { pipe($0.assumingMemoryBound(to: CInt.self).baseAddress) }) == 0 else {
            throw Errno(rawValue: errno)
        }
        // A process started before these calls doesn't inherit the ends either: swift-subprocess closes all other descriptors.
        for end in [ends.0, ends.1] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (read, write) = ends
    }
}
