// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The metrics of the whole process at one moment.
package struct GatewayReading: Sendable {
    package var version: String
    package var commit: String
    /// Unix milliseconds.
    package var startedAt: Int64
    /// Open WebSockets.
    package var connections = 0
    package var attachedSessions = 0
    package var detachedSessions = 0
    /// The paths of the certificates in use, and when they expire in Unix seconds.
    package var certificates: [(path: String, notAfter: Int64)] = []
    package var loops: [LoopReading] = []
    package var upstreams: [UpstreamReading] = []
    /// Nil when sessions aren't stored.
    package var store: StoreMetrics?
    /// Nil outside of a cluster.
    package var cluster: ClusterReading?
    package var logLines: UInt64 = 0
    package var droppedLogLines: UInt64 = 0
    package var droppedAuditRecords: UInt64 = 0
    package var exportedSpans: UInt64 = 0
    package var droppedSpans: UInt64 = 0
    package var process: ProcessUsage

    package init(version: String, commit: String, startedAt: Int64, process: ProcessUsage) {
        self.version = version
        self.commit = commit
        self.startedAt = startedAt
        self.process = process
    }

    /// Returns the exposition of all metrics.
    package func exposition(_ format: ExpositionFormat) -> [UInt8] {
        var writer = ExpositionWriter(format)
        let total = LoopReading.total(loops)
        writer.begin(.buildInfo)
        writer.sample([version, commit], 1)
        writeConnections(total, to: &writer)
        writeSessions(total, to: &writer)
        writeMessages(total, to: &writer)
        write(total.voice, to: &writer)
        writeUpstreams(to: &writer)
        writeCluster(to: &writer)
        writeSystem(total, to: &writer)
        writer.finish()
        return writer.bytes
    }

    private func writeConnections(_ total: LoopMetrics, to writer: inout ExpositionWriter) {
        writer.begin(.connections)
        writer.sample([], connections)
        writer.begin(.connectionsAccepted)
        writer.sample([], total.accepted)
        writer.write(.connectionsRejected, total.rejections)
        writer.begin(.tlsHandshakes)
        for (kind, count) in total.handshakes.all { writer.sample([kind.version, "\(kind.isResumed)"], count) }
        writer.begin(.tlsHandshakeTime)
        writer.sample([], total.handshakeTime)
        writer.write(.tlsHandshakeFailures, total.handshakeFailures)
        writer.begin(.certificateExpiry)
        var paths: Set<String> = []
        for certificate in certificates where paths.insert(certificate.path).inserted {
            writer.sample([certificate.path], certificate.notAfter)
        }
        writer.write(.authFailures, total.authFailures)
    }

    private func writeSessions(_ total: LoopMetrics, to writer: inout ExpositionWriter) {
        writer.begin(.sessions)
        writer.sample(["attached"], attachedSessions)
        writer.sample(["detached"], detachedSessions)
        writer.write(.sessionsEnded, total.endings)
        writer.write(.resumes, total.resumes)
        writer.begin(.sessionMemory)
        writer.sample([], total.sessionMemory)
        writer.begin(.memory)
        for part in MemoryPart.allCases {
            writer.sample([part.label], loops.reduce(0) { $0 + $1.memoryParts[part.rawValue] })
        }
    }

    private func writeMessages(_ total: LoopMetrics, to writer: inout ExpositionWriter) {
        writer.begin(.messages)
        for (type, count) in total.inbound.all { writer.sample(["in", type.label], count) }
        for (type, count) in total.outbound.all { writer.sample(["out", type.label], count) }
        writer.begin(.messageBytes)
        writer.sample(["in"], total.bytesIn)
        writer.sample(["out"], total.bytesOut)
        writer.begin(.messageHandling)
        writer.sample([], total.handlingTime)
        writer.begin(.errors)
        for (code, count) in total.errors.all { writer.sample([code.label], count, exemplar: total.errorExemplars[code.ordinal]) }
        writer.begin(.closes)
        for (initiator, closes) in zip(CloseInitiator.allCases, total.closes) {
            for (code, count) in closes.all { writer.sample([code.label, initiator.label], count) }
        }
        writer.begin(.pingTime)
        writer.sample([], total.pingTime)
        writer.begin(.socketQueue)
        writer.sample([], total.socketQueue)
        writer.begin(.slowConsumers)
        writer.sample([], total.slowConsumers)
        writer.write(.rateLimited, total.rateLimited)
        writer.write(.quotaExceeded, total.quotaExceeded)
    }

    private func write(_ voice: VoiceMetrics, to writer: inout ExpositionWriter) {
        for (family, histogram) in [
            (MetricFamily.firstAudio, voice.firstAudio), (.firstText, voice.firstText), (.cancellation, voice.cancellation),
            (.heardRatio, voice.heardRatio),
        ] {
            writer.begin(family)
            writer.sample([], histogram)
        }
        writer.begin(.audio)
        writer.sample(["in"], Double(voice.inNanoseconds) / 1_000_000_000)
        writer.sample(["out"], Double(voice.outNanoseconds) / 1_000_000_000)
    }

    private func writeUpstreams(to writer: inout ExpositionWriter) {
        writer.begin(.upstreamRequests)
        for upstream in upstreams {
            for (outcome, count) in upstream.metrics.outcomes.all {
                writer.sample([upstream.statistics.name, outcome.label], count, exemplar: upstream.metrics.exemplars[outcome.ordinal])
            }
        }
        for (family, histogram) in [
            (MetricFamily.upstreamTime, \UpstreamMetrics.requestTime), (.upstreamFirstEvent, \.firstEventTime),
            (.upstreamQueueTime, \.queueTime),
        ] {
            writer.begin(family)
            for upstream in upstreams { writer.sample([upstream.statistics.name], upstream.metrics[keyPath: histogram]) }
        }
        writer.begin(.upstreamInFlight)
        for upstream in upstreams { writer.sample([upstream.statistics.name], upstream.statistics.active) }
        writer.begin(.upstreamQueued)
        for upstream in upstreams { writer.sample([upstream.statistics.name], upstream.statistics.waiting) }
        writer.begin(.upstreamRetries)
        for upstream in upstreams { writer.sample([upstream.statistics.name], upstream.statistics.retries) }
        writer.begin(.upstreamCancelled)
        for upstream in upstreams {
            for (reason, count) in upstream.metrics.cancellations.all { writer.sample([upstream.statistics.name, reason.label], count) }
        }
        writeBreakers(to: &writer)
    }

    private func writeBreakers(to writer: inout ExpositionWriter) {
        writer.begin(.breaker)
        for upstream in upstreams {
            // Two endpoints of one upstream may have the same address and different paths. The worse breaker counts.
            var states: [(address: String, value: Int)] = []
            for endpoint in upstream.statistics.endpoints {
                let value =
                    switch CircuitBreaker.State(rawValue: endpoint.breaker) {
                    case .closed, nil: 0
                    case .halfOpen: 1
                    case .open: 2
                    }
                if let index = states.firstIndex(where: { $0.address == endpoint.address }) {
                    states[index].value = max(states[index].value, value)
                } else {
                    states.append((endpoint.address, value))
                }
            }
            for state in states { writer.sample([upstream.statistics.name, state.address], state.value) }
        }
    }

    private func writeCluster(to writer: inout ExpositionWriter) {
        guard let cluster else { return }
        writer.begin(.nodeInfo)
        writer.sample([cluster.node, cluster.id], 1)
        writer.begin(.clusterNodes)
        writer.sample([], cluster.nodes)
        writer.begin(.clusterSessions)
        for (event, count) in zip(ClusterReading.sessionEvents, cluster.sessions) { writer.sample([event], count) }
        writer.begin(.clusterRequests)
        writer.sample([], cluster.requests)
        writer.begin(.clusterRequestFailures)
        writer.sample([], cluster.failures)
    }

    private func writeSystem(_ total: LoopMetrics, to writer: inout ExpositionWriter) {
        let store = store ?? StoreMetrics()
        writer.begin(.storeCommit)
        writer.sample([], store.commitTime)
        writer.begin(.storeErrors)
        writer.sample([], store.errors)
        writer.begin(.storeBytes)
        writer.sample([], store.bytes)
        writer.begin(.logLines)
        writer.sample([], logLines)
        writer.begin(.logLinesDropped)
        writer.sample([], droppedLogLines)
        writer.begin(.auditRecordsDropped)
        writer.sample([], droppedAuditRecords)
        writer.begin(.spansExported)
        writer.sample([], exportedSpans)
        writer.begin(.spansDropped)
        writer.sample([], droppedSpans)
        writer.begin(.loopLag)
        writer.sample([], total.lag)
        writer.begin(.loopUtilization)
        for (number, loop) in loops.enumerated() { writer.sample(["\(number)"], loop.utilization) }
        writer.begin(.processCPU)
        writer.sample([], process.cpuSeconds)
        if let resident = process.residentBytes {
            writer.begin(.processResident)
            writer.sample([], resident)
        }
        if let open = process.openDescriptors {
            writer.begin(.processDescriptors)
            writer.sample([], open)
        }
        writer.begin(.processMaximumDescriptors)
        writer.sample([], process.maximumDescriptors)
        writer.begin(.processStart)
        writer.sample([], Double(startedAt) / 1000)
    }
}

extension ExpositionWriter {
    /// Writes a counter for each value of the metric's only label.
    fileprivate mutating func write<Label: MetricLabel>(_ family: MetricFamily, _ counters: Counters<Label>) {
        begin(family)
        for (label, count) in counters.all { sample([label.label], count) }
    }
}
