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

/// `process` upstreams: programs on the same machine, started when they are needed, used again and again, and replaced after a while.
final class ProcessService: UpstreamService {
    private struct State {
        /// The longest unused first.
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

    func makeTransport(on loop: CallLoop) -> any UpstreamTransport { ProcessMaker(service: self, loop: loop) }

    /// Takes a worker that rests, or has one started.
    ///
    /// - Parameter ready: called on any thread when it has come up, or can't
    func take(on eventLoop: any EventLoop, ready: @escaping @Sendable (CallFailure?) -> Void) -> ProcessWorker {
        let (worker, isNew) = state.withLock { state -> (ProcessWorker, Bool) in
            // The one used last: the others may come to be closed.
            while let worker = state.idle.popLast() {
                if !worker.isKilled, !worker.noticeEnd() { return (worker, false) }
            }
            state.lastNumber += 1
            let worker = ProcessWorker(number: state.lastNumber)
            state.workers[worker.number] = worker
            return (worker, true)
        }
        if isNew { starting.yield(Start(worker: worker, eventLoop: eventLoop, ready: ready)) } else { ready(nil) }
        return worker
    }

    /// Gives back a worker that has answered in full.
    func give(_ worker: ProcessWorker) {
        worker.count()
        worker.rest()
        let isKept = state.withLock { state in
            guard !state.isRetired, configuration.maxRequests == 0 || worker.served < configuration.maxRequests, !worker.isKilled else {
                return false
            }
            state.idle.append(worker)
            return true
        }
        if !isKept { worker.kill() }
    }

    // MARK: Looking after

    func run() async {
        await ControlGroup.sweep()
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                while (try? await Task.sleep(for: .milliseconds(200))) != nil {
                    closeIdle()
                    noticeEnds()
                }
            }
            for await start in starts {
                group.addTask { [self] in await self.run(start) }
            }
            // Cancelled or retired: nothing is left alive.
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
        // Who is at work ends with its request.
        while state.withLock({ !$0.workers.isEmpty }), (try? await Task.sleep(for: .milliseconds(50))) != nil {}
        starting.finish()
    }

    private func closeIdle() {
        let limit = NIODeadline.now() - .nanoseconds(GatewaySizes.orOff(configuration.idleClose))
        let old = state.withLock { state in
            let old = state.idle.filter { $0.idleSince <= limit }
            state.idle.removeAll { $0.idleSince <= limit }
            return old
        }
        for worker in old { worker.kill() }
    }

    /// Finds processes that have exited while a child of theirs holds their output open.
    private func noticeEnds() {
        for worker in state.withLock({ Array($0.workers.values) }) { worker.noticeEnd() }
    }

    private func killAll() {
        let all = state.withLock { state in
            state.isRetired = true
            state.idle = []
            return state.workers.values
        }
        for worker in all { worker.kill() }
    }

    /// The whole life of one process.
    private func run(_ start: Start) async {
        let worker = start.worker
        defer {
            state.withLock { state in
                state.workers[worker.number] = nil
                state.idle.removeAll { $0 === worker }
            }
        }
        guard Self.canRun(configuration.command[0]) else {
            return start.ready(.unreachable("there is no program \(configuration.command[0])"))
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
        let wanted = Configuration(
            executable: .path(FilePath(launcher.path)), arguments: Arguments(arguments), environment: .custom(Self.environment),
            platformOptions: options)
        pool.count { $0.connections += 1 }
        let hasChannel = Atomic<Bool>(false)
        do {
            let result = try await Subprocess.run(
                wanted, input: .fileDescriptor(FileDescriptor(rawValue: pipes.input.read), closeAfterSpawningProcess: true),
                output: .fileDescriptor(FileDescriptor(rawValue: pipes.output.write), closeAfterSpawningProcess: true),
                error: .fileDescriptor(.standardError, closeAfterSpawningProcess: false)
            ) { [self] execution in
                hasChannel.store(true, ordering: .relaxed)
                await live(start, identifier: execution.processIdentifier.value, input: pipes.input.write, output: pipes.output.read)
                worker.kill()
                // Also when it has ended by itself: others of its group may be left.
                try? execution.send(signal: .kill, toProcessGroup: true)
                await group?.kill()
            }
            worker.reaped()
            if case .exited(let code) = result.terminationStatus, code != 0 {
                logger.warning("process ended", metadata: ["upstream": "\(pool.name)", "status": .stringConvertible(code)])
            }
        } catch {
            worker.reaped()
            // Once it runs, they are the channel's.
            if !hasChannel.load(ordering: .relaxed) {
                close(pipes.input.write)
                close(pipes.output.read)
            }
            start.ready(.unreachable("the process can't be started: \(error)"))
        }
        pool.count { $0.connections -= 1 }
        await remove(group)
    }

    /// Whether a program is there, by its path or in the places of `PATH`.
    static func canRun(_ program: String) -> Bool {
        if program.contains("/") { return isProgram(program) }
        let places = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        return places.contains { isProgram("\($0)/\(program)") }
    }

    /// A file, not a folder, that this user may execute; for root, access(2) grants more than exec(2).
    private static func isProgram(_ path: String) -> Bool {
        guard let mode = FileMode(of: path), mode.isFile, mode.isExecutable else { return false }
        return access(path, X_OK) == 0
    }

    /// The gateway's own, but for its configuration, in which there may be secrets.
    private static let environment: [Environment.Key: String] = {
        var found: [Environment.Key: String] = [:]
        for (name, value) in ProcessInfo.processInfo.environment where !name.hasPrefix("PARLEY_") {
            if let key = Environment.Key(rawValue: name) { found[key] = value }
        }
        return found
    }()

    /// Until its output ends, or it is killed.
    private func live(_ start: Start, identifier: pid_t, input: CInt, output: CInt) async {
        let worker = start.worker
        let limit = GatewaySizes.orOff(configuration.maxMessageBytes)
        let (ignoresBanner, pool) = (configuration.ignoreBanner, pool)
        do {
            let channel = try await NIOPipeBootstrap(group: start.eventLoop)
                .channelOption(.allowRemoteHalfClosure, value: true)
                // Who sends without end takes turns with the others.
                .channelOption(.maxMessagesPerRead, value: 1)
                .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: UpstreamReading.single))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = WorkerHandler(limit: limit, ignoresBanner: ignoresBanner) {
                            worker.kill()
                        } report: { reason in
                            pool.note("process killed", details: reason)
                        }
                        try channel.pipeline.syncOperations.addHandler(handler)
                        _ = worker.started(identifier, channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
                    }
                }
                .takingOwnershipOfDescriptors(input: output, output: input).get()
            start.ready(worker.isKilled ? .unreachable("the process isn't wanted any more") : nil)
            if worker.isKilled { channel.close(promise: nil) }
            try? await channel.closeFuture.get()
        } catch {
            start.ready(.unreachable("no pipe: \(error)"))
        }
    }

    /// It takes a moment until what was killed is gone.
    private func remove(_ group: ControlGroup?) async {
        guard let group else { return }
        for _ in 0..<100 where await !group.remove() { try? await Task.sleep(for: .milliseconds(20)) }
    }
}

/// Two ends, neither of which another process inherits by mistake.
private struct Pipe {
    let read: CInt
    let write: CInt

    init() throws {
        var ends: (CInt, CInt) = (-1, -1)
        guard withUnsafeMutableBytes(of: &ends, { pipe($0.assumingMemoryBound(to: CInt.self).baseAddress) }) == 0 else {
            throw Errno(rawValue: errno)
        }
        // Whatever is started in between closes what it isn't given: see swift-subprocess.
        for end in [ends.0, ends.1] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (read, write) = ends
    }
}
