import Foundation
import GRDB
import GatewayCore
import Logging
import Synchronization

/// The times in which nothing can be written, and the log lines about them, which are throttled: a disk that is full now and then would
/// write two for each message.
extension SQLiteStore {
    /// Writes a page, whatever else there is to write.
    static func probe(_ database: Database) throws {
        try database.execute(sql: "PRAGMA application_id = \(applicationID)")
    }

    /// A commit has failed.
    func beginOutage(_ error: StoreError) {
        if !failing.exchange(true, ordering: .relaxed) {
            log(.error, as: .storeFailing, "the store can't take messages; trying again", ["error": "\(error)"])
        }
        health.set(.store, .notReady(error.description))
    }

    /// A commit has succeeded after others had failed.
    func endOutage() {
        guard !missing.load(ordering: .relaxed) else { return }
        health.set(.store, .ready)
        log(.notice, as: .storeRecovered, "the store takes messages again")
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

    /// Counts the lines that were left out, and that no later line has told of.
    func tellSuppressed() {
        for (topic, suppressed) in throttle.withLock({ $0.collect(now: Instant(nanoseconds: LoopClock.monotonicNanoseconds())) }) {
            logger.info("log lines suppressed", metadata: ["topic": "\(topic)", "suppressed": .stringConvertible(suppressed)])
        }
    }
}
