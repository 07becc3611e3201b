// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import GatewayCore
import Logging
import Synchronization

/// Outages: times during which commits fail. Their log lines are throttled, since an intermittently full disk would cause two lines per
/// message.
extension SQLiteStore {
    /// Writes one page, to test whether the file is writable.
    static func probe(_ database: Database) throws {
        try database.execute(sql: "PRAGMA application_id = \(applicationID)")
    }

    /// Records a failed commit.
    func beginOutage(_ error: StoreError) {
        if !isFailing.exchange(true, ordering: .relaxed) {
            log(.error, as: .storeFailing, "commits to the store fail; retrying", ["error": "\(error)"])
        }
        health.set(.store, .notReady(error.description))
    }

    /// Records the first successful commit after failed ones.
    func endOutage() {
        guard !isFileMissing.load(ordering: .relaxed) else { return }
        health.set(.store, .ready)
        log(.notice, as: .storeRecovered, "commits to the store succeed again")
    }

    func log(_ level: Logger.Level, as topic: LogTopic, _ message: Logger.Message, _ metadata: Logger.Metadata = [:]) {
        guard
            case .write(let suppressed) = throttle.withLock({ $0.admit(topic, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds())) }
            )
        else { return }
        var metadata = metadata
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        logger.log(level: level, message, metadata: metadata)
    }

    /// Logs the counts of suppressed lines that no later line has reported.
    func logSuppressed() {
        for (topic, suppressed) in throttle.withLock({ $0.collect(now: Instant(nanoseconds: LoopClock.monotonicNanoseconds())) }) {
            logger.info("log lines suppressed", metadata: ["topic": "\(topic)", "suppressed": .stringConvertible(suppressed)])
        }
    }
}
