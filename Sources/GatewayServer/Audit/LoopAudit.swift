// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The audit of one event loop: limits the records that clients can cause, and counts those that aren't written.
package struct LoopAudit: Sendable {
    /// Records of each event per second and event loop.
    package static let eventsPerSecond = 500
    /// Records of each event that only rejected clients cause, per second and event loop.
    package static let rejectionsPerSecond = 20

    private let log: AuditLog
    private var events = LogThrottle<AuditEvent>(lines: LoopAudit.eventsPerSecond, per: .seconds(1))
    private var rejections = LogThrottle<AuditEvent>(lines: LoopAudit.rejectionsPerSecond, per: .seconds(1))

    package init(log: AuditLog) { self.log = log }

    /// Writes a record, unless there were too many of its event within the second.
    package mutating func record(_ record: AuditRecord, now: Instant) {
        let verdict = record.event.isRejection ? rejections.admit(record.event, now: now) : events.admit(record.event, now: now)
        guard case .write(let suppressed) = verdict else { return }
        if suppressed > 0 { report(record.event, suppressed, at: record.at) }
        log.record(record)
    }

    /// Writes the number of suppressed records of each event.
    package mutating func recordSuppressed(now: Instant, wall: Int64) {
        for (event, suppressed) in events.collect(now: now) + rejections.collect(now: now) { report(event, suppressed, at: wall) }
    }

    private func report(_ event: AuditEvent, _ suppressed: UInt64, at wall: Int64) {
        log.record(AuditRecord(.suppressed, at: wall, details: [.init("of", event.name.description), .init("count", suppressed)]))
    }
}

/// Events of clients in the audit log. When it is off, each call costs one branch.
extension EventLoopState {
    /// Records an event of a connection, or of a session that is detached.
    ///
    /// - Parameters:
    ///   - session: nil for the session of the connection
    ///   - user: nil for the user of the connection
    @inline(__always)
    func audit(
        _ event: AuditEvent, of connection: Connection?, session: ULID? = nil, user: @autoclosure () -> String? = nil,
        _ details: @autoclosure () -> [AuditRecord.Detail] = []
    ) {
        guard audit != nil else { return }
        record(event, of: connection, session: session, user: user(), details())
    }

    @inline(never)
    private func record(
        _ event: AuditEvent, of connection: Connection?, session: ULID?, user: String?, _ details: [AuditRecord.Detail]
    ) {
        audit?.record(
            AuditRecord(
                event, at: LoopClock.wallMilliseconds(), who: user ?? connection?.grant?.user, from: connection?.address,
                session: session ?? connection?.sessionID, connection: connection?.id, details: details),
            now: clock.now)
    }

    /// Records an error if a limit or a quota is its cause.
    @inline(__always)
    func audit(_ error: GatewayError, of connection: Connection?, session: ULID? = nil, user: @autoclosure () -> String? = nil) {
        guard audit != nil else { return }
        let event: AuditEvent
        switch error.code {
        case .rateLimited, .tooFast, .tooManyViolations: event = .limit
        case .quotaExceeded: event = .quota
        default: return
        }
        record(
            event, of: connection, session: session, user: user(),
            [
                .init("code", error.code.rawValue), .init("reason", error.message), .init("correlation_id", .id(error.correlationID)),
            ])
    }
}
