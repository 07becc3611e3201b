// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import Synchronization

/// The log lines about the state of a store. They are throttled, since an intermittent failure would cause two lines per message.
final class StoreLog: Sendable {
    private let throttle = Mutex(LogThrottle<LogTopic>(lines: 5, per: .seconds(60)))
    private let logger: Logger

    init(_ logger: Logger) { self.logger = logger }

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
