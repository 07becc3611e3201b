// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayRedis
package import Logging
package import NIOCore
import Synchronization

/// Stores the records of sessions in Redis or Valkey (`store.kind: redis`), shared with other gateways.
///
/// Each session is one hash, which contains its owner and epoch. Each batch is one pipeline with a script call for each session.
package final class RedisStore: SharedStore {
    let client: RedisClient
    let settings: RedisStoreSettings
    let keys: RedisKeys
    let status: RedisStoreStatus
    let committer: NIOLoopBound<RedisCommitter>
    private let revocations: [Revocations.Entry]
    private let ticker = Mutex<RepeatedTask?>(nil)
    /// The last removal of expired reports.
    let reportSweep = Mutex<Task<Void, Never>?>(nil)
    /// How long new reports are kept, in ms.
    let reportLifetime: Atomic<Int64>

    /// Maximum bytes that wait for their commit. Beyond it new work is rejected.
    private static let maximumWaitingBytes = 64 << 20

    /// Connects to the server and checks it.
    ///
    /// - Throws: ``StoreError`` with the problem and its remedy
    package static func open(
        _ settings: RedisStoreSettings, eventLoop: any EventLoop, health: HealthRegistry, logger: Logger
    ) async throws(StoreError) -> RedisStore {
        let status = RedisStoreStatus(name: settings.name, health: health, logger: logger)
        let monitor = RedisServerMonitor(settings: settings, status: status)
        var redis = settings.redis
        redis.scripts = StoreScripts.all
        let (states, continuation) = AsyncStream.makeStream(of: RedisClientState.self)
        let client = RedisClient(
            settings: redis, eventLoop: eventLoop, logger: logger, onConnect: { monitor.check($0, $1) },
            onStateChange: { state in
                continuation.yield(state)
                monitor.changed(state)
            })
        client.start()
        var failure: StoreError?
        for await state in states {
            switch state {
            case .connecting: continue
            case .connected: break
            case .disconnected(let reason):
                let problem = monitor.rejection ?? RedisProblem.lostConnection(reason)
                failure = StoreError(path: settings.name, problem: problem.text, isTemporary: problem.isTemporary)
            case .closed: failure = StoreError(path: settings.name, problem: "the client was closed", isTemporary: true)
            }
            break
        }
        continuation.finish()
        let revocations: [Revocations.Entry]
        do throws(StoreError) {
            if let failure { throw failure }
            revocations = try await RedisStore.revocations(client, keys: RedisKeys(prefix: settings.prefix), name: settings.name)
        } catch {
            await client.close()
            throw error
        }
        let bound = await NIOLoopBound.made(on: eventLoop) { RedisCommitter(client: client, settings: settings, status: status) }
        let store = RedisStore(client: client, settings: settings, status: status, committer: bound, revocations: revocations)
        monitor.begin(bound)
        health.set(.store, .ready)
        let facts = monitor.facts
        logger.info(
            "the shared store is open",
            metadata: [
                "urls": "\(settings.name)", "version": "\(facts?.version ?? "unknown")", "acknowledge": "\(settings.acknowledge.rawValue)",
                "node": "\(settings.node)",
            ])
        store.startTicking()
        return store
    }

    private init(
        client: RedisClient, settings: RedisStoreSettings, status: RedisStoreStatus, committer: NIOLoopBound<RedisCommitter>,
        revocations: [Revocations.Entry]
    ) {
        self.client = client
        self.settings = settings
        self.status = status
        self.committer = committer
        self.revocations = revocations
        keys = RedisKeys(prefix: settings.prefix)
        reportLifetime = Atomic(max(1, settings.reportLifetime.clampedNanoseconds / 1_000_000))
    }

    private func startTicking() {
        let committer = committer
        let task = client.eventLoop.scheduleRepeatedTask(initialDelay: RedisCommitter.tick, delay: RedisCommitter.tick) { _ in
            committer.value.tick()
        }
        ticker.withLock { $0 = task }
    }

    // MARK: SessionStore

    /// Nothing: sessions are claimed when their clients come.
    package func load() throws -> [StoredSession] { [] }

    package func loadEndedTokens() throws -> [TokenHash] { [] }

    /// Returns the revocations. Usage is loaded by ``usage(of:wall:)``, and uses of tokens are spent in the store.
    package func loadAccounts(wall: Int64) throws -> AccountRecords {
        var records = AccountRecords()
        records.revocations = revocations
        return records
    }

    package func submit(_ batch: StoreBatch, committed: @escaping @Sendable () -> Void, failed: @escaping @Sendable () -> Void) {
        let bytes = batch.footprint
        status.waitingBytes.add(bytes, ordering: .relaxed)
        let isFailing = status.isFailing.load(ordering: .relaxed)
        let committer = committer
        client.eventLoop.execute {
            committer.value.submit(batch, bytes: bytes, committed: committed, failed: isFailing ? nil : failed)
        }
        // Reported now, because the next attempt may be seconds away.
        if isFailing { failed() }
    }

    package var acceptsWork: Bool {
        !status.isFailing.load(ordering: .relaxed) && status.waitingBytes.load(ordering: .relaxed) < Self.maximumWaitingBytes
    }

    package var metrics: StoreMetrics? { status.metrics }

    package var durability: StoreDurability { settings.acknowledge }

    /// The id of this process, as the owner of its sessions.
    package var node: ULID { settings.node }

    package func sweep() { status.lines.logSuppressed() }

    package func purge() async throws {
        guard await barrier() else { throw temporaryError() }
        await reportSweep.withLock { $0 }?.value
    }

    package func close() async {
        _ = await barrier()
        ticker.withLock { $0.take()?.cancel() }
        let committer = committer
        try? await client.eventLoop.submit { committer.value.close() }.get()
        await client.close()
    }

    /// Waits until all submitted batches are committed. Returns false when commits fail.
    private func barrier() async -> Bool {
        guard !status.isFailing.load(ordering: .relaxed) else { return false }
        let (outcomes, continuation) = AsyncStream.makeStream(of: Bool.self)
        submit(StoreBatch(), committed: { continuation.yield(true) }, failed: { continuation.yield(false) })
        return await outcomes.first { _ in true } ?? false
    }

    func temporaryError() -> StoreError {
        StoreError(
            path: settings.name, problem: status.currentProblem?.text ?? "commits fail at the moment; retry later", isTemporary: true)
    }

    /// Sends a command that isn't part of a batch.
    func send(_ command: RedisCommand) async throws(StoreError) -> RedisReply {
        do { return try await client.send(command) } catch { throw storeError(error) }
    }

    /// Sends commands that aren't part of a batch.
    func send(_ commands: [RedisCommand]) async throws(StoreError) -> [RedisReply] {
        guard !commands.isEmpty else { return [] }
        var replies: [RedisReply] = []
        for result in await client.sendBatch(commands).results {
            switch result {
            case .success(let reply): replies.append(reply)
            case .failure(let failure): throw storeError(failure)
            }
        }
        return replies
    }

    func storeError(_ failure: RedisFailure) -> StoreError {
        let problem = RedisProblem(failure)
        return StoreError(path: settings.name, problem: problem.text, isTemporary: problem.isTemporary)
    }
}

extension NIOLoopBound {
    /// Creates a value on its event loop.
    static func made(on eventLoop: any EventLoop, _ make: @escaping @Sendable () -> Value) async -> NIOLoopBound<Value> {
        await withCheckedContinuation { continuation in
            eventLoop.execute { continuation.resume(returning: NIOLoopBound(make(), eventLoop: eventLoop)) }
        }
    }
}
