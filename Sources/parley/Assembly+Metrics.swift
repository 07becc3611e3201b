// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import GatewayTLS

extension Assembly {
    /// The metrics on the operations listener.
    ///
    /// - Parameter started: Unix milliseconds
    static func metrics(_ gateway: Gateway, shared: SharedGateway, tls: TLSContextStore, logs: Logs, started: Int64) -> OperationsFeature {
        .metrics {
            var reading = GatewayReading(
                version: Version.number, commit: Version.commit, startedAt: started,
                process: ProcessUsage.now(descriptorLimit: shared.descriptors.limit))
            reading.connections = shared.connectionLimits.webSockets
            reading.attachedSessions = shared.sessions.attached
            reading.detachedSessions = shared.sessions.detached
            reading.certificates = tls.current.expiries
            reading.loops = await gateway.readings()
            reading.upstreams = shared.upstream.readings
            reading.store = shared.store?.metrics
            reading.cluster = shared.cluster?.reading
            reading.logLines = logs.written
            reading.droppedLogLines = logs.dropped
            reading.droppedAuditRecords = shared.audit?.dropped ?? 0
            if let spans = shared.tracer?.statistics { (reading.exportedSpans, reading.droppedSpans) = spans }
            return reading
        }
    }
}
