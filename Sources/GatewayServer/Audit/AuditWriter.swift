// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Glibc
import Logging

/// The thread that writes audit records.
///
/// While the file can't be written, for instance because the disk is full, the current record is retried every second and further ones wait
/// in the queue; those that don't fit are dropped, and a record tells their number once the file can be written again.
final class AuditWriter {
    private let queue: AuditQueue
    private var output: AuditOutput
    private let health: HealthRegistry
    private let logger: Logger
    private let retryInterval: Duration
    private var isFailing = false
    private var isDirty = false

    init(queue: AuditQueue, output: consuming AuditOutput, health: HealthRegistry, logger: Logger, retryInterval: Duration) {
        self.queue = queue
        self.output = output
        self.health = health
        self.logger = logger
        self.retryInterval = retryInterval
    }

    /// Starts the thread. Returns false if the system can't create one.
    func start() -> Bool { DetachedThread.start { self.run() } }

    private func run() {
        if let bytes = output.partialBytes {
            logger.warning("partial audit record found", metadata: ["bytes": .stringConvertible(bytes)])
        }
        // The file is begun even if no event follows.
        _ = perform { output throws(AuditFault) in try output.begin() }
        loop: while true {
            switch queue.next() {
            case .write(let records, let dropped): write(records.map { $0 }, dropped: dropped)
            case .reopen: reopen()
            case .idle: synchronize()
            case .end: break loop
            }
        }
        synchronize()
        output.close()
        queue.finish()
    }

    private func write(_ records: [AuditRecord], dropped: UInt64) {
        for (index, record) in records.enumerated() {
            guard write(record) else { return queue.giveUp(records.count - index) }
        }
        guard dropped > 0 else { return }
        logger.warning("audit records dropped", metadata: ["count": .stringConvertible(dropped)])
        let record = AuditRecord(.dropped, at: LoopClock.wallMilliseconds(), details: [.init("count", dropped)])
        _ = write(record)
    }

    /// Writes a record, retrying as long as necessary. Returns false when the queue is closed before that succeeds.
    private func write(_ record: AuditRecord) -> Bool {
        while !perform({ output throws(AuditFault) in try output.append(record) }) {
            guard queue.waitBeforeRetry(retryInterval) else { return false }
            if queue.takeReopening() { reopen() }
        }
        return true
    }

    private func reopen() {
        var isNew = false
        let isOpen = perform { output throws(AuditFault) in
            isNew = try output.reopen(wall: LoopClock.wallMilliseconds())
            try output.begin()
        }
        if isOpen, isNew { logger.notice("audit file reopened") }
    }

    /// Returns false if `body` throws; then the health part is degraded until a later call succeeds.
    private func perform(_ body: (inout AuditOutput) throws(AuditFault) -> Void) -> Bool {
        do throws(AuditFault) {
            try body(&output)
        } catch {
            if !isFailing { logger.error("audit file can't be written", metadata: ["error": "\(error)"]) }
            isFailing = true
            health.set(.audit, .degraded("the audit file \(error)"))
            return false
        }
        isDirty = true
        guard isFailing else { return true }
        isFailing = false
        health.set(.audit, .ready)
        logger.notice("audit file written again")
        return true
    }

    private func synchronize() {
        guard isDirty else { return }
        isDirty = false
        output.synchronize()
    }
}
