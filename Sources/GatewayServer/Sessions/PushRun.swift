// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// One push into sessions of one event loop, in slices: other sessions of the loop don't wait for a broadcast.
///
/// Completes when the push is committed in all sessions. If a commit fails, the push is withdrawn from its sessions, which nothing was sent
/// to yet.
final class PushRun: CommitWaiter {
    /// The longest time of pushing without polling sockets, and the pause after it, as in ``DemandQueue``.
    static let slice = Instant.Duration.nanoseconds(500_000)
    static let pause = TimeAmount.microseconds(20)

    private let table: LocalSessionTable
    private let push: Push
    private let sessions: [ULID]
    private var next = 0
    private var queued: [(session: ULID, sequence: UInt64, key: RequestKey)] = []
    private var result = PushResult()
    /// The last ticket that the push waits for; nil without a store.
    private var ticket: UInt64?
    private var isPushed = false
    private var isFinished = false
    private let promise: EventLoopPromise<PushResult>

    private init(_ push: Push, into sessions: [ULID], of table: LocalSessionTable) {
        self.push = push
        self.sessions = sessions
        self.table = table
        promise = table.loop.eventLoop.makePromise(of: PushResult.self)
    }

    /// Starts a push on the event loop of the sessions, on which it must be called.
    static func start(_ push: Push, into sessions: [ULID], of table: LocalSessionTable) -> EventLoopFuture<PushResult> {
        let run = PushRun(push, into: sessions, of: table)
        run.run()
        return run.promise.futureResult
    }

    private func run() {
        let end = LoopClock.monotonicNanoseconds() + Self.slice.nanoseconds
        let first = queued.count
        while next < sessions.count, !isFinished {
            pushNext()
            guard LoopClock.monotonicNanoseconds() < end else { break }
        }
        if queued.count > first, let awaited = table.loop.awaitCommit(self) { ticket = awaited }
        guard next < sessions.count, !isFinished else {
            isPushed = true
            if ticket == nil { finish() }
            return
        }
        let bound = NIOLoopBound(self, eventLoop: table.loop.eventLoop)
        table.loop.eventLoop.scheduleTask(in: Self.pause) { bound.value.run() }
    }

    private func pushNext() {
        let id = sessions[next]
        next += 1
        guard let driver = table[id] else {
            result.missing.append(id)
            return
        }
        switch driver.push(push) {
        case .queued(let sequence, let key): queued.append((id, sequence, key))
        case .failed: result.failures += 1
        }
    }

    func commitEnded(_ result: CommitResult) {
        guard !isFinished else { return }
        switch result {
        case .committed(let committed):
            guard isPushed, let ticket, committed >= ticket else { return }
            finish()
        case .failed: withdraw()
        }
    }

    private func withdraw() {
        for entry in queued { table[entry.session]?.withdraw(push, entry.key) }
        result.failures += queued.count + sessions.count - next
        queued = []
        finish()
    }

    private func finish() {
        isFinished = true
        result.deliveries = queued.map { .init(session: $0.session, sequence: $0.sequence) }
        promise.succeed(result)
    }
}
