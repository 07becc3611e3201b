// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Logging

extension Assembly {
    /// Opens the audit log; returns nil if it is off.
    static func openAuditLog(_ configuration: GatewayConfiguration, health: HealthRegistry) throws(AuditFault) -> AuditLog? {
        guard !configuration.audit.path.isEmpty else { return nil }
        return try AuditLog(
            path: configuration.audit.path, capacity: configuration.audit.queue, health: health, logger: Logger(label: "parley.audit"))
    }
}

extension AuditLog {
    /// Records a reload of the configuration, and reopens the file if it was rotated. Records the names of keys, never their values.
    func configurationReloaded(because reason: String, _ report: ReloadReport) {
        reopen()
        var details: [AuditRecord.Detail] = [.init("reason", reason), .init("outcome", report.problems.isEmpty ? "applied" : "rejected")]
        if report.problems.isEmpty {
            details += [
                .init("changed", report.changed.joined(separator: ",")), .init("needs_restart", report.needsRestart.joined(separator: ",")),
            ]
        } else {
            details.append(.init("problems", report.problems.count))
        }
        record(AuditRecord(.configuration, at: LoopClock.wallMilliseconds(), details: details))
    }
}
