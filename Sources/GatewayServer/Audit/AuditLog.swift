// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging

/// The audit log: JSON lines in a file or on standard output, each of which names the hash of the line before.
///
/// Records are written by a thread of their own. Event loops enqueue them and never wait.
package final class AuditLog: Sendable {
    private let queue: AuditQueue
    /// `audit.path`.
    package let path: String

    /// Opens the file and starts the thread.
    ///
    /// - Parameters:
    ///   - path: `audit.path`; `-` for standard output
    ///   - capacity: `audit.queue`
    ///   - health: gets the part ``HealthPart/audit``
    ///   - write: replaces the system's call in tests
    package init(
        path: String, capacity: Int, health: HealthRegistry, logger: Logger, retryInterval: Duration = .seconds(1), write: AuditWrite? = nil
    ) throws(AuditFault) {
        self.path = path
        queue = AuditQueue(capacity: capacity)
        let output = try AuditOutput(path: path, wall: LoopClock.wallMilliseconds(), write: write ?? AuditOutput.systemWrite)
        health.set(.audit, .ready)
        let writer = AuditWriter(queue: queue, output: output, health: health, logger: logger, retryInterval: retryInterval)
        guard writer.start() else {
            queue.close()
            queue.finish()
            throw .cannotOpen("the system can't create a thread")
        }
    }

    /// Whether the records are in a file, which can be read.
    package var isFile: Bool { path != "-" }

    /// Records dropped since startup.
    package var dropped: UInt64 { queue.dropped }

    /// Enqueues a record, from any thread.
    package func record(_ record: AuditRecord) { queue.enqueue(record) }

    /// Reopens the file if it was renamed.
    package func reopen() { queue.requestReopening() }

    /// Blocks until every record so far is written or dropped. Returns false if the timeout passes first.
    @discardableResult
    package func flush(within timeout: Duration) -> Bool { queue.waitUntilDrained(within: timeout) }

    /// Writes the last record and ends the thread. Returns false if that takes longer than `timeout`.
    @discardableResult
    package func close(within timeout: Duration) -> Bool {
        record(AuditRecord(.stop, at: LoopClock.wallMilliseconds()))
        queue.close()
        return queue.waitUntilFinished(within: timeout)
    }
}
