// SPDX-License-Identifier: Apache-2.0

import CLinux
package import GatewayCore
package import GatewayTLS
package import Logging
package import NIOCore
package import NIOPosix
import ServiceLifecycle
import Synchronization

/// The front listener as a service: binds the listener, ticks the event loops, and drains on graceful shutdown.
package final class Gateway: Service {
    private let group: MultiThreadedEventLoopGroup
    let shards: [NIOLoopBound<GatewayShard>]
    /// The last ticks of the event loops, in the order of ``shards``.
    private let ticks: [LoopTick]
    /// The positions in ``shards`` by the loop number of ``SessionRegistry``.
    private let positions: [Int: Int]
    let shared: SharedGateway
    private let tls: TLSContextStore?
    private let address: SocketEndpoint
    /// `listen.plain`: the address of the listener without TLS, which admits trusted proxies only; nil: none.
    private let plainAddress: SocketEndpoint?
    private let gates = AcceptGateGroup()
    /// The listening sockets of the service manager; addresses without one are bound.
    private let inherited: InheritedSockets
    private let beforeReady: @Sendable () async -> Void
    let logger: Logger
    /// `shutdown.drain`.
    let drain: Duration
    /// The drain that has begun; nil while the gateway serves.
    let drainProgress = Mutex<DrainProgress?>(nil)
    private let sweep: Duration
    /// `reports.keep`, which a reload may change.
    private let reportRetention: Mutex<Duration>
    private let listeners = Mutex<[any Channel]>([])
    private let rejectedAddresses = Atomic<UInt64>(0)
    private let rejectedPeers = Atomic<UInt64>(0)
    private let onListening: @Sendable (SocketAddress) -> Void

    /// The length of the accept queue; the kernel may lower it (`net.core.somaxconn`).
    private static let backlog: Int32 = 1024

    /// - Parameters:
    ///   - tls: nil to serve without TLS, as in tests
    ///   - inherited: the listening sockets of the service manager
    ///   - beforeReady: called after the listener is bound; the gateway isn't ready until it returns
    ///   - onListening: called once with the bound address
    package init(
        configuration: GatewayConfiguration, tls: TLSContextStore?, shared: SharedGateway, group: MultiThreadedEventLoopGroup,
        logger: Logger, inherited: InheritedSockets = .none, beforeReady: @escaping @Sendable () async -> Void = {},
        onListening: @escaping @Sendable (SocketAddress) -> Void = { _ in }
    ) async throws {
        self.group = group
        self.shared = shared
        self.tls = tls
        self.logger = logger
        self.inherited = inherited
        self.beforeReady = beforeReady
        self.onListening = onListening
        address = inherited[.listen]?.address ?? configuration.listen.address
        plainAddress = inherited[.plain]?.address ?? configuration.listen.plain
        drain = configuration.shutdown.drain
        shared.undelivered.limit = configuration.push.undeliveredMax
        sweep = configuration.sessions.sweep
        reportRetention = Mutex(configuration.reports.keep)
        let settings = GatewaySettings(configuration)
        var shards: [NIOLoopBound<GatewayShard>] = []
        var positions: [Int: Int] = [:]
        for loop in group.makeIterator() {
            let (bound, number) = try await loop.submit {
                LoopScheduling.shortenTimeSlice()
                var generator = SystemRandomNumberGenerator()
                let shard = GatewayShard(
                    eventLoop: loop, shared: shared, settings: settings, seed: generator.next(), logger: Logger(label: "parley.connection"))
                return (NIOLoopBound(shard, eventLoop: loop), shard.sessions.number)
            }.get()
            positions[number] = shards.count
            shards.append(bound)
        }
        self.shards = shards
        self.positions = positions
        ticks = shards.map { _ in LoopTick() }
    }

    /// Whether the listener belongs to the service manager, so that clients wait in its backlog for the next process.
    var hasInheritedListener: Bool { inherited[.listen] != nil }

    /// The last tick of each event loop, for the watchdog.
    package var lastTicks: [Instant] { ticks.map(\.last) }

    /// Restores the sessions of the store. Must be called before ``run()``.
    ///
    /// - Parameter accounts: called with the records about users and their tokens, before the first session is restored
    /// - Returns: the number of restored sessions, and of those that couldn't be read and were discarded.
    package func restore(accounts: (AccountRecords) -> Void = { _ in }) async throws -> (restored: Int, discarded: Int) {
        guard let store = shared.store else { return (0, 0) }
        shared.sessions.restore(ended: try store.loadEndedTokens())
        let records = try store.loadAccounts(wall: LoopClock.wallMilliseconds())
        for (user, usage) in records.usage { shared.usage.restore(usage, of: user) }
        accounts(records)
        let sessions = try store.load()
        var restored = 0
        for (index, bound) in shards.enumerated() {
            let part = stride(from: index, to: sessions.count, by: shards.count).map { sessions[$0] }
            restored += try await bound.eventLoop.submit { bound.value.sessions.restore(part) }.get()
        }
        shared.sessions.orderRestored()
        return (restored, sessions.count - restored)
    }

    package func run() async throws {
        let tickers = zip(shards, ticks).map { bound, tick in
            bound.eventLoop.scheduleRepeatedTask(initialDelay: GatewayShard.tickInterval, delay: GatewayShard.tickInterval) { _ in
                bound.value.tick()
                tick.record()
            }
        }
        let channels = try await listen()
        shared.health.set(.listener, .ready)
        await beforeReady()
        drainProgress.withLock { if $0 == nil { shared.health.set(.accepting, .ready) } }
        let isDraining = await waitForShutdown(before: channels)
        await stop(channels)
        for ticker in tickers { ticker.cancel() }
        for tick in ticks { tick.finish() }
        shared.removeMailboxes()
        // A gateway that can't accept connections should be restarted rather than left running.
        if !isDraining { throw ListenerClosed() }
    }

    /// Binds the listeners: with TLS, and without if it is configured.
    private func listen() async throws -> [any Channel] {
        var plain: (any Channel)?
        if let plainAddress {
            plain = try await ListenerFailure.convertingErrors("listen.plain", plainAddress) {
                try await bind(plainAddress, isPlain: true)
            }
        }
        do {
            let channel = try await ListenerFailure.convertingErrors("listen.address", address) { try await bind(address, isPlain: false) }
            let channels = [channel, plain].compactMap(\.self)
            listeners.withLock { $0 = channels }
            if let local = channel.localAddress {
                logger.info("listening", metadata: ["address": "\(SocketEndpoint(local))"])
                onListening(local)
            }
            if let local = plain?.localAddress {
                logger.info("listening without TLS for trusted proxies", metadata: ["address": "\(SocketEndpoint(local))"])
            }
            return channels
        } catch {
            try? await plain?.close().get()
            throw error
        }
    }

    /// Waits for graceful shutdown. Returns false if a listener closed first.
    private func waitForShutdown(before channels: [any Channel]) async -> Bool {
        let (closed, continuation) = AsyncStream.makeStream(of: Void.self)
        for channel in channels { channel.closeFuture.whenComplete { _ in continuation.finish() } }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                try? await gracefulShutdown()
                return true
            }
            group.addTask {
                for await _ in closed {}
                return Task.isCancelled
            }
            group.addTask { [self] in
                while (try? await Task.sleep(for: sweep)) != nil { removeExpired() }
                return true
            }
            defer { group.cancelAll() }
            return await group.next() ?? true
        }
    }

    /// Removes expired reports, usage and records of the store, and returns freed memory to the system. Must not be called on an event loop.
    func removeExpired() {
        // glibc returns the memory that a wave of connections has freed only when `malloc_trim` is called, which takes milliseconds.
        malloc_trim(0)
        let wall = LoopClock.wallMilliseconds()
        shared.archive.sweep(endedBefore: wall &- reportRetention.withLock { $0.clampedMilliseconds })
        shared.usage.sweep(wall: wall)
        shared.usage.ledger?.removeRows(before: UsageRow.firstKeptDay(wall: wall))
        shared.store?.sweep()
    }

    /// TCP_NOTSENT_LOWAT of Linux's `tcp.h`.
    private static let notSentLowWatermark = NIOBSDSocket.Option(rawValue: 25)
    /// The unsent bytes that the kernel buffers per connection. Without this limit it buffers several megabytes for each client that
    /// doesn't read, outside our memory accounting. Sent but unacknowledged bytes don't count, so this is far more than a connection needs
    /// to stay busy.
    private static let unsentBytes = 128 * 1024

    /// - Parameter isPlain: whether the listener has no TLS and admits trusted proxies only
    private func bind(_ address: SocketEndpoint, isPlain: Bool) async throws -> any Channel {
        var byLoop: [ObjectIdentifier: NIOLoopBound<GatewayShard>] = [:]
        for shard in shards { byLoop[ObjectIdentifier(shard.eventLoop)] = shard }
        let (shardByLoop, tls) = (byLoop, isPlain ? nil : tls)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // One accept per read: `connections.max_sockets` is enforced exactly, and an accept is cheap compared to a handshake.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(gate(on: channel.eventLoop, admitsOnlyProxies: isPlain))
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(Self.notSentLowWatermark), value: Self.unsentBytes)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 * 1024, high: 128 * 1024))
            // One read at a time, so that a client that sends without pause can't starve the others. Exception: after the client closes, NIO
            // reads everything that the kernel still buffers. `ReceiveAllocator` relies on this limit, too.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let bound = shardByLoop[ObjectIdentifier(channel.eventLoop)] else { throw ChannelError.operationUnsupported }
                    let shard = bound.value
                    if tls != nil { try channel.syncOptions?.setOption(.recvAllocator, value: ReceiveAllocator(buffers: shard.loop.tls)) }
                    try ConnectionPipeline.configure(channel, shard: shard, tls: tls?.current)
                }
            }
        guard let inherited = inherited[isPlain ? .plain : .listen] else {
            return try await bootstrap.bind(host: address.host, port: address.port).get()
        }
        let channel = try await bootstrap.withBoundSocket(inherited.descriptor).get()
        inherited.restoreBacklog()
        return channel
    }

    private func gate(on loop: any EventLoop, admitsOnlyProxies: Bool) -> AcceptGate {
        let logger = logger
        let throttle = Mutex(LogThrottle<LogTopic>(lines: 5, per: .seconds(1)))
        @Sendable func warn(_ message: Logger.Message, topic: LogTopic, metadata: Logger.Metadata) {
            guard
                case .write(let suppressed) = throttle.withLock({
                    $0.admit(topic, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds()))
                })
            else { return }
            var metadata = metadata
            if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
            logger.warning(message, metadata: metadata)
        }
        return AcceptGate(
            connectionLimits: shared.connectionLimits, admitsOnlyProxies: admitsOnlyProxies, gates: gates,
            rejected: { [self] address, reason in
                switch reason {
                case .limit: rejectedAddresses.add(1, ordering: .relaxed)
                case .untrusted: rejectedPeers.add(1, ordering: .relaxed)
                }
                let (text, topic): (Logger.Message, LogTopic) =
                    switch reason {
                    case .limit: ("connection rejected: too many connections or too many new ones per second from its address", .address)
                    case .untrusted: ("connection rejected: listen.plain admits connections.trusted_proxies only", .proxy)
                    }
                warn(text, topic: topic, metadata: ["address": "\(address)"])
            },
            failed: { [shared] error in
                shared.descriptors.accepting(failed: error, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds()))
                warn("accept failed", topic: .rejection, metadata: ["error": "\(error)"])
            })
    }

    // MARK: Reload and operations

    /// Applies the configuration of a reload.
    package func apply(_ configuration: GatewayConfiguration) async {
        reportRetention.withLock { $0 = configuration.reports.keep }
        shared.connectionLimits.policy = ConnectionLimits.Policy(configuration)
        shared.sessions.limits = SessionRegistry.Limits(configuration)
        shared.undelivered.limit = configuration.push.undeliveredMax
        shared.tracer?.apply(TracePolicy(configuration))
        let settings = GatewaySettings(configuration)
        await onEveryLoop { $0.apply(settings) }
        for channel in listeners.withLock({ $0 }) { try? await channel.triggerUserOutboundEvent(AcceptGate.LimitsChanged()).get() }
    }

    /// Calls `body` on the event loop of a session. Retries while the session is being transferred to another loop.
    func find<Value: Sendable>(_ id: ULID, _ body: @escaping @Sendable (LocalSessionTable) -> Value?) async -> Value? {
        for _ in 0..<Self.maximumLookups {
            guard let number = shared.sessions.loop(of: id), let position = positions[number] else { return nil }
            let bound = shards[position]
            if let value = try? await bound.eventLoop.submit({ body(bound.value.sessions) }).get() { return value }
        }
        return nil
    }

    static let maximumLookups = 100

    var loopCount: Int { shards.count }
    var boundShards: [NIOLoopBound<GatewayShard>] { shards }

    /// Returns the position in ``boundShards`` of the loop of a session; nil if the session isn't live.
    func position(of session: ULID) -> Int? { shared.sessions.loop(of: session).flatMap { positions[$0] } }

    /// The figures of all event loops together.
    package func counters() async -> LoopCounters {
        let readings = await readings()
        return LoopCounters(LoopReading.total(readings), memoryBytes: readings.reduce(0) { $0 + $1.memoryBytes })
    }

    /// The metrics of each event loop. Connections that were rejected when they were accepted count for the first one.
    package func readings() async -> [LoopReading] {
        var readings = await snapshotLoops { LoopReading(of: $0.loop) }
        guard !readings.isEmpty else { return readings }
        readings[0].metrics.rejections.add(.addressLimit, rejectedAddresses.load(ordering: .relaxed))
        readings[0].metrics.rejections.add(.untrustedProxy, rejectedPeers.load(ordering: .relaxed))
        return readings
    }

    func onEveryLoop(_ body: @escaping @Sendable (GatewayShard) -> Void) async {
        _ = await snapshotLoops { body($0) }
    }

    func snapshotLoops<Value: Sendable>(_ body: @escaping @Sendable (GatewayShard) -> Value) async -> [Value] {
        var values: [Value] = []
        for bound in shards {
            if let value = try? await bound.eventLoop.submit({ body(bound.value) }).get() { values.append(value) }
        }
        return values
    }

    /// Calls `body` on each event loop with its element of `values`.
    func onEveryLoop<Value: Sendable>(_ values: [Value], _ body: @escaping @Sendable (GatewayShard, Value) -> Void) async {
        for (bound, value) in zip(shards, values) { try? await bound.eventLoop.submit { body(bound.value, value) }.get() }
    }
}

extension Gateway: SessionDirectory {
    package func sessions(_ query: SessionQuery) async -> [LiveSession] {
        let found = await gather { (shard, completion: @escaping ([LiveSession]) -> Void) in
            shard.sessions.find(query, completion: completion)
        }
        return Array(found.flatMap(\.self).sorted { $0.rank < $1.rank }.prefix(query.limit))
    }

    package func session(_ id: ULID, depth: ReportDepth) async -> LiveSession? {
        await find(id) { $0[id]?.liveReport(depth) }
    }

    package func close(_ id: ULID) async -> Bool { await find(id) { $0.close(id, keepsReport: true) ? true : nil } ?? false }

    package func erase(_ id: ULID) async -> Bool {
        defer { shared.undelivered.erase(id) }
        guard await find(id, { $0.close(id, keepsReport: false) ? true : nil }) ?? false else { return false }
        // The batch that ends the session is submitted now if it wasn't already.
        await onEveryLoop { $0.loop.submitBatch() }
        return true
    }

    package func purge() async throws { try await shared.store?.purge() }
}

extension SocketEndpoint {
    init(_ address: SocketAddress) { self.init(host: address.ipAddress ?? "?", port: address.port ?? 0) }
}

/// The listener was closed by the system, not by a shutdown.
package struct ListenerClosed: Error {}
