// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOEmbedded
import Synchronization
import Testing

@testable import GatewayServer

@Suite struct CommitQueueTests {
    private final class Waiter: CommitWaiter {
        private(set) var committed: [UInt64] = []
        private(set) var failures = 0
        var onFailure: () -> Void = {}

        func commitEnded(_ result: CommitResult) {
            switch result {
            case .committed(let ticket): committed.append(ticket)
            case .failed:
                failures += 1
                onFailure()
            }
        }
    }

    /// A store whose commits the test completes or fails.
    private final class ManualStore: SessionStore {
        private typealias Commit = (committed: @Sendable () -> Void, failed: @Sendable () -> Void)
        private let commits = Mutex<[Commit]>([])

        func submit(_ batch: StoreBatch, committed: @escaping @Sendable () -> Void, failed: @escaping @Sendable () -> Void) {
            commits.withLock { $0.append((committed, failed)) }
        }

        func commit(_ index: Int) { commits.withLock { $0[index].committed }() }
        func fail(_ index: Int) { commits.withLock { $0[index].failed }() }

        var acceptsWork: Bool { true }
        func load() throws -> [StoredSession] { [] }
        func loadEndedTokens() throws -> [TokenHash] { [] }
        func loadAccounts(wall: Int64) throws -> AccountRecords { AccountRecords() }
        func sweep() {}
        func purge() async throws {}
        func close() async {}
    }

    private let loop = EmbeddedEventLoop()
    private let store = ManualStore()
    private let queue: CommitQueue

    init() { queue = CommitQueue(eventLoop: loop, store: store) }

    @Test func `all waiters of a batch share one ticket; the next batch has another`() {
        let (first, second) = (Waiter(), Waiter())
        #expect(queue.append(first) == 1)
        #expect(queue.append(second) == 1)
        queue.submit(StoreBatch())
        #expect(queue.append(first) == 2)
        queue.submit(StoreBatch())
        store.commit(0)
        loop.run()
        #expect(first.committed == [1] && second.committed == [1])
        store.commit(1)
        loop.run()
        #expect(first.committed == [1, 2] && second.committed == [1])
    }

    @Test func `a failed commit is reported to its waiters, which keep waiting`() {
        let (first, second) = (Waiter(), Waiter())
        _ = queue.append(first)
        queue.submit(StoreBatch())
        _ = queue.append(second)
        queue.submit(StoreBatch())
        store.fail(0)
        loop.run()
        #expect(first.failures == 1 && second.failures == 0)
        #expect(first.committed.isEmpty)
        store.commit(0)
        loop.run()
        #expect(first.committed == [1] && second.committed.isEmpty)
    }

    @Test func `a waiter with further changes after a failure waits for the current batch, too`() {
        let waiter = Waiter()
        _ = queue.append(waiter)
        queue.submit(StoreBatch())
        waiter.onFailure = { [queue] in #expect(queue.append(waiter) == 2) }
        store.fail(0)
        loop.run()
        #expect(waiter.failures == 1)
        queue.submit(StoreBatch())
        store.commit(0)
        store.commit(1)
        loop.run()
        #expect(waiter.committed == [1, 2])
    }
}
