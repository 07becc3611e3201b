// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Logging

/// Log lines about sessions and errors, throttled by topic.
extension EventLoopState {
    /// Counts an error and logs it, throttled.
    package func record(_ error: GatewayError, connection: ULID?, session: ULID?) {
        metrics.countError(error.code, correlationID: error.correlationID, wall: effects.wall)
        let level: Logger.Level = error.source == .client ? .info : .warning
        guard logger.logLevel <= level, case .write(let suppressed) = throttle.admit(.clientError, now: effects.now) else { return }
        var metadata: Logger.Metadata = [
            "code": "\(error.code.rawValue)", "source": "\(error.source.rawValue)", "correlation_id": "\(error.correlationID)",
        ]
        if let connection { metadata["connection_id"] = "\(connection)" }
        if let session { metadata["session_id"] = "\(session)" }
        if let param = error.param { metadata["param"] = "\(param)" }
        if let id = error.replyTo { metadata["reply_to"] = "\(id)" }
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        logger.log(level: level, "error sent", metadata: metadata)
    }

    /// Logs a message about a session, throttled by topic.
    func log(_ message: Logger.Message, as topic: LogTopic, of session: ULID, connection: ULID?, _ further: Logger.Metadata = [:]) {
        guard logger.logLevel <= .info, case .write(let suppressed) = throttle.admit(topic, now: clock.now) else { return }
        var metadata = further
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        metadata["session_id"] = "\(session)"
        if let connection { metadata["connection_id"] = "\(connection)" }
        logger.info(message, metadata: metadata)
    }

    /// Logs the number of suppressed lines of each topic.
    func logSuppressed(now: Instant) {
        for (topic, suppressed) in throttle.collect(now: now) {
            logger.info("log lines suppressed", metadata: ["topic": "\(topic)", "suppressed": .stringConvertible(suppressed)])
        }
    }
}
