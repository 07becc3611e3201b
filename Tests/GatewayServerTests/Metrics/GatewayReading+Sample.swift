// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Support

@testable import GatewayServer

extension GatewayReading {
    /// A reading with a sample of every metric, and hostile names in the configuration.
    static var sample: GatewayReading {
        var reading = GatewayReading(
            version: "1.2.3", commit: "abc", startedAt: 1_700_000_000_500, process: ProcessUsage.now(descriptorLimit: 1024))
        reading.connections = 2
        (reading.logLines, reading.droppedLogLines, reading.droppedAuditRecords) = (11, 12, 13)
        (reading.exportedSpans, reading.droppedSpans) = (14, 15)
        reading.cluster = ClusterReading(
            node: "a\"b", id: "01M7XQ95SZFZG3YNHSE7V35J13", nodes: 3, claimed: 1, brought: 2, handedOver: 3, fenced: 4, gone: 5,
            requests: 6, failures: 7)
        reading.certificates = [("a.pem", 1_800_000_000), ("b\"\\\n.pem", 1_900_000_000), ("a.pem", 1_800_000_000)]
        var loop = LoopReading()
        loop.metrics.countError(.rateLimited, correlationID: ULID(high: 1, low: 1), wall: 1_700_000_000_123)
        loop.metrics.countClose(1000, by: .client)
        loop.metrics.handlingTime.record(7000, times: 3)
        loop.metrics.sessionMemory.record(123_456)
        loop.metrics.lag.record(.milliseconds(1))
        loop.utilization = 0.25
        reading.loops = [loop, loop]
        var statistics = UpstreamStatistics(
            name: "chat", kind: "openai", state: "ready", active: 1, waiting: 2,
            endpoints: [
                .init(address: "a:1", breaker: "closed", healthy: true, outstanding: 0, requests: 0, failures: 0),
                .init(address: "a:1", breaker: "open", healthy: true, outstanding: 0, requests: 0, failures: 0),
                .init(address: "b:1", breaker: "half_open", healthy: true, outstanding: 0, requests: 0, failures: 0),
            ])
        statistics.retries = 4
        var metrics = UpstreamMetrics()
        metrics.countFailed(.upstreamTimeout, CallTiming())
        metrics.refer(to: Exemplar(correlationID: ULID(high: 2, low: 2), wall: 1_700_000_000_000), for: .upstreamTimeout)
        metrics.countCancelled(.client)
        reading.upstreams = [UpstreamReading(statistics: statistics, metrics: metrics)]
        return reading
    }

    func text(_ format: ExpositionFormat) -> String { String(decoding: exposition(format), as: UTF8.self) }
}

/// The samples of an exposition: the values by name and labels, as they are written.
struct ParsedMetrics {
    private var values: [String: Double] = [:]

    init(_ text: String) {
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let sample = line.prefix(upTo: line.range(of: " # ")?.lowerBound ?? line.endIndex)
            guard let space = sample.lastIndex(of: " ") else { continue }
            values[String(sample[..<space])] = Double(sample[sample.index(after: space)...])
        }
    }

    subscript(_ sample: String) -> Double? { values[sample] }
    var names: Set<String> { Set(values.keys.map { String($0.prefix { $0 != "{" }) }) }
}
