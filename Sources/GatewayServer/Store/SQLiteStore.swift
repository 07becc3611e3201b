// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
package import GatewayCore
package import Logging
import NIOConcurrencyHelpers
import NIOPosix
import Synchronization

/// Stores the records of sessions in one SQLite file (`store.kind: sqlite`).
///
/// A single thread writes, off the event loops, with group commit: batches that arrive during a commit share the next one. The file is
/// locked exclusively by this process.
package final class SQLiteStore: SessionStore {
    /// A batch or report that waits for its commit.
    private struct PendingBatch {
        let batch: StoreBatch
        var report: SessionReport?
        var committed: @Sendable () -> Void
        /// Called once when a commit with the batch fails. The commit is retried, so `committed` may follow.
        var failed: (@Sendable () -> Void)?

        var bytes: Int { batch.footprint + (report?.footprint ?? 0) }
    }

    private struct State {
        var waiting: [PendingBatch] = []
        /// Reports that aren't committed yet.
        var reports: [ULID: SessionReport] = [:]
        var bytes = 0
        var isWriting = false
        var isClosing = false
    }

    let database: DatabaseQueue
    private let state = Mutex(State())
    let isFailing = Atomic<Bool>(false)
    let measured = Mutex(StoreMetrics())
    let lines: StoreLog
    let thread: NIOThreadPool
    let path: String
    /// Device and inode of the opened file.
    private let identity: [Int]?
    /// Whether the file was removed or replaced, so that further writes would be lost.
    let isFileMissing = Atomic<Bool>(false)
    let health: HealthRegistry
    let logger: Logger

    /// Maximum bytes that wait for the writer. Beyond it new work is rejected.
    private static let maxWaitingBytes = 64 << 20
    /// Number of pages that one vacuum step frees. A step takes a few milliseconds.
    private static let vacuumStepPages = 256

    /// Opens or creates the file and migrates its schema.
    ///
    /// - Parameters:
    ///   - path: `store.path`
    ///   - maximumBytes: `store.max_bytes`; 0 for no limit
    /// - Throws: ``StoreError`` with the problem and its remedy
    package init(path: String, synchronous: StoreSynchronous, maximumBytes: Int, health: HealthRegistry, logger: Logger) throws(StoreError)
    {
        self.health = health
        self.logger = logger
        lines = StoreLog(logger)
        self.path = path
        Self.warnOfDamage(path, logger: logger)
        try Self.prepareFile(path)
        let effective: Int?
        var outage: StoreError?
        do {
            database = try DatabaseQueue(path: path, configuration: Self.configuration)
            try Self.check(database, path: path)
            if try !database.read({ try Self.migrator.hasCompletedMigrations($0) }) { try Self.migrator.migrate(database) }
            effective = try database.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA synchronous = \(synchronous.rawValue.uppercased())")
                if maximumBytes > 0 {
                    let page = try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4096
                    _ = try Int.fetchOne(database, sql: "PRAGMA max_page_count = \(max(1, maximumBytes / page))")
                }
                return try Int.fetchOne(database, sql: "PRAGMA synchronous")
            }
            do {
                try database.writeWithoutTransaction { try Self.probe($0) }
            } catch {
                // The file is readable, so its sessions are restored; new work is rejected until a commit succeeds.
                let problem = StoreError(error, path: path)
                guard problem.isTemporary else { throw problem }
                outage = problem
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(error, path: path)
        }
        thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        identity = Self.identity(of: path)
        health.set(.store, .ready)
        logger.info("the store is open", metadata: ["path": "\(path)", "synchronous": "\(Self.name(synchronous: effective))"])
        guard let outage else { return }
        beginOutage(outage)
        submit(PendingBatch(batch: StoreBatch(), committed: {}))
    }

    package func load() throws -> [StoredSession] {
        try database.read { database in
            try RecordQuery(
                try database.makeStatement(sql: "SELECT session, kind, number, bytes FROM record ORDER BY session, kind, number")
            ).sessions()
        }
    }

    package func loadEndedTokens() throws -> [TokenHash] {
        try database.read { database in
            try Data.fetchAll(database, sql: "SELECT hash FROM token ORDER BY rowid").compactMap { TokenHash(stored: $0) }
        }
    }

    package var acceptsWork: Bool {
        !isFailing.load(ordering: .relaxed) && !isFileMissing.load(ordering: .relaxed) && state.withLock { $0.bytes < Self.maxWaitingBytes }
    }

    package func submit(
        _ batch: StoreBatch, committed: @escaping @Sendable () -> Void, failed: @escaping @Sendable () -> Void
    ) {
        submit(PendingBatch(batch: batch, committed: committed, failed: failed))
    }

    package func keep(_ report: SessionReport) { submit(PendingBatch(batch: StoreBatch(), report: report, committed: {})) }

    /// Returns a submitted report that isn't committed yet.
    func waitingReport(of id: ULID) -> SessionReport? { state.withLock { $0.reports[id] } }

    private func submit(_ waiting: PendingBatch) {
        let (startsWriter, failed) = state.withLock { state in
            var waiting = waiting
            // Reported now, because the next commit attempt may be seconds away.
            let failed = isFailing.load(ordering: .relaxed) ? waiting.failed.take() : nil
            state.waiting.append(waiting)
            state.bytes += waiting.bytes
            if let report = waiting.report { state.reports[report.id] = report }
            defer { state.isWriting = true }
            return (!state.isWriting, failed)
        }
        if startsWriter { thread.submit { [self] _ in write() } }
        failed?()
    }

    /// Commits until no batch is waiting.
    private func write() {
        while true {
            var waiting = dequeue()
            if waiting.isEmpty {
                let isDone = state.withLock { state in
                    state.isWriting = !state.waiting.isEmpty
                    return !state.isWriting
                }
                if isDone { return }
                continue
            }
            guard commit(&waiting) else { return }
            let bytes = waiting.reduce(0) { $0 + $1.bytes }
            state.withLock { state in
                state.bytes -= bytes
                for report in waiting.compactMap(\.report) { state.reports[report.id] = nil }
            }
            for entry in waiting { entry.committed() }
        }
    }

    /// Removes and returns all waiting batches.
    private func dequeue() -> [PendingBatch] {
        state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    /// Commits batches, retrying with a backoff of up to two seconds.
    ///
    /// - Returns: false when the store closes before a commit succeeds
    private func commit(_ waiting: inout [PendingBatch]) -> Bool {
        var pause = 0.05
        while true {
            let begin = LoopClock.monotonicNanoseconds()
            do {
                try database.writeWithoutTransaction { database in
                    try database.inTransaction(.immediate) {
                        // After a failure, only a successful write proves that there is room again.
                        if isFailing.load(ordering: .relaxed) { try Self.probe(database) }
                        try Self.apply(waiting.map(\.batch), to: database)
                        for report in waiting.compactMap(\.report) { try Self.put(report, to: database) }
                        return .commit
                    }
                }
                measured.withLock { $0.commitTime.record(LoopClock.monotonicNanoseconds() - begin) }
                if isFailing.exchange(false, ordering: .relaxed) { endOutage() }
                return true
            } catch {
                measured.withLock { $0.errors &+= 1 }
                if (error as? DatabaseError)?.resultCode == .SQLITE_FULL, !isDiskFull {
                    if evictReports() {
                        lines.log(.warning, as: .storeFull, "the store is full: evicting the oldest reports", ["path": "\(path)"])
                        continue
                    }
                    if waiting.contains(where: { $0.report != nil }) {
                        lines.log(
                            .warning, as: .storeFull, "the store is full: dropping reports of ended sessions",
                            ["path": "\(path)"])
                        dropReports(in: &waiting)
                        continue
                    }
                }
                beginOutage(StoreError(error, path: path))
            }
            notifyFailure(of: &waiting)
            if state.withLock({ $0.isClosing }) { return false }
            Thread.sleep(forTimeInterval: pause * Double.random(in: 0.5...1))
            pause = min(pause * 2, 2)
            // Batches that arrived in the meantime may free space by ending sessions.
            waiting += dequeue()
        }
    }

    /// Calls `failed` for all batches of the failed commit and for those that wait for the next one.
    private func notifyFailure(of waiting: inout [PendingBatch]) {
        for index in waiting.indices { waiting[index].failed.take()?() }
        let others = state.withLock { state in state.waiting.indices.compactMap { state.waiting[$0].failed.take() } }
        for failed in others { failed() }
    }

    /// Drops the reports of waiting batches.
    private func dropReports(in waiting: inout [PendingBatch]) {
        let before = waiting.reduce(0) { $0 + $1.bytes }
        let ids = waiting.compactMap(\.report?.id)
        for index in waiting.indices { waiting[index].report = nil }
        let after = waiting.reduce(0) { $0 + $1.bytes }
        state.withLock { state in
            state.bytes -= before - after
            for id in ids { state.reports[id] = nil }
        }
    }

    /// Applies batches. Ended sessions are deleted first and their other changes skipped, so that their space is free for the rest.
    private static func apply(_ batches: [StoreBatch], to database: Database) throws {
        var ended: Set<ULID> = []
        let end = try database.cachedStatement(sql: "DELETE FROM record WHERE session = ?")
        for case .end(let id) in batches.lazy.flatMap(\.changes) where ended.insert(id).inserted { try end.execute(arguments: [id.stored]) }
        for batch in batches { try apply(batch, without: ended, to: database) }
    }

    private static func apply(_ batch: StoreBatch, without ended: Set<ULID>, to database: Database) throws {
        let put = PutStatement(
            try database.cachedStatement(sql: "INSERT OR REPLACE INTO record (session, kind, number, bytes) VALUES (?, ?, ?, ?)"))
        let remove = try database.cachedStatement(sql: "DELETE FROM record WHERE session = ? AND kind = ? AND number >= ? AND number < ?")
        for change in batch.changes {
            switch change {
            case .put(let id, _, _, _) where ended.contains(id): break
            case .put(let id, let kind, let number, let range):
                try put.execute(id, kind, number, batch.bytes[range])
            case .remove(let id, let kind, let numbers):
                try remove.execute(
                    arguments: [
                        id.stored, Int(kind.rawValue), Int64(bitPattern: numbers.lowerBound), Int64(bitPattern: numbers.upperBound),
                    ])
            case .end, .tokens, .user: break
            }
        }
        try apply(usage: batch.usage, to: database)
        try apply(batch.accountChanges, to: database)
        for token in batch.endedTokens { try database.execute(literal: "INSERT INTO token (hash) VALUES (\(token.stored))") }
    }

    /// Checkpoints the write-ahead log and returns free pages to the file system, in small steps with commits in between. Up to a quarter
    /// of the file stays free for reuse.
    package func sweep() {
        thread.submit { [self] _ in
            lines.logSuppressed()
            guard isFileInPlace() else { return }
            removeExpiredRows()
            checkpoint()
            vacuumAll()
        }
    }

    private func vacuumAll() {
        guard vacuum() else { return checkpoint() }
        thread.submit { [self] _ in vacuumAll() }
    }

    /// Checkpoints and truncates the write-ahead log. This limits the loss when the log is damaged, and removes deleted content that
    /// `secure_delete` has overwritten only in the file.
    private func checkpoint() {
        do {
            try database.writeWithoutTransaction { _ = try Row.fetchOne($0, sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        } catch {
            lines.log(
                .warning, as: .storeCheckpoint, "the store's write-ahead log can't be checkpointed",
                ["error": "\(StoreError(error, path: path))"])
        }
    }

    /// Frees one step of pages.
    ///
    /// - Returns: whether more pages can be freed
    private func vacuum() -> Bool {
        let isDone = try? database.writeWithoutTransaction { database in
            let free = try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
            let all = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            guard free > max(all / 4, Self.vacuumStepPages) else { return true }
            try database.execute(sql: "PRAGMA incremental_vacuum(\(Self.vacuumStepPages))")
            // A file created without incremental auto-vacuum can't shrink.
            return try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0 >= free
        }
        // After an error the next sweep retries.
        return isDone == false && !state.withLock { $0.isClosing }
    }

    /// Whether the opened file is still at its path. If not, the gateway has to be restarted.
    private func isFileInPlace() -> Bool {
        guard Self.identity(of: path) != identity else { return true }
        let problem = StoreError(path: path, problem: "the file was removed or replaced; restart the gateway").description
        if !isFileMissing.exchange(true, ordering: .relaxed) {
            logger.critical("the store's file is lost: new work is rejected", metadata: ["error": "\(problem)"])
        }
        health.set(.store, .notReady(problem))
        return false
    }

    package func purge() async throws {
        guard acceptsWork else { throw StoreError(path: path, problem: "commits fail at the moment; retry later") }
        let (outcomes, continuation) = AsyncStream.makeStream(of: Bool.self)
        submit(PendingBatch(batch: StoreBatch(), committed: { continuation.yield(true) }, failed: { continuation.yield(false) }))
        let isStored = await outcomes.first { _ in true } ?? false
        guard isStored else { throw StoreError(path: path, problem: "commits fail at the moment; retry later") }
        try? await thread.runIfActive { [self] in checkpoint() }
    }

    package func close() async {
        state.withLock { $0.isClosing = true }
        // The thread is serial, so submitted batches are committed first.
        _ = try? await thread.runIfActive { try? self.database.close() }
        try? await thread.shutdownGracefully()
        var rest = dequeue()
        notifyFailure(of: &rest)
    }
}
