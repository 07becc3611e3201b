// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

@testable import GatewayServer

/// The exposition, as other programs read it: Prometheus's `promtool`, and the parsers of Prometheus's library for Python.
@Suite struct MetricsToolTests {
    private static var promtool: String {
        let unpacked = Repository.path + "/.build/prometheus/usr/bin/promtool"
        return FileManager.default.isExecutableFile(atPath: unpacked) ? unpacked : "/usr/bin/promtool"
    }

    private func run(_ executable: String, _ arguments: [String], in directory: TemporaryDirectory) async throws {
        let result = try await ChildProcess.run(
            "/bin/sh", ["-c", #""$0" "$@" < metrics"#, executable] + arguments, directory: directory.path)
        #expect(result.status == 0, "\(result.lines) \(result.errorLines)")
        #expect(result.errorLines.isEmpty, "\(result.errorLines)")
    }

    /// Returns the value of a label without escapes.
    private static func value(of label: String, in sample: Substring) -> String? {
        for start in ["{\(label)=\"", ",\(label)=\""] {
            if let range = sample.range(of: start) { return String(sample[range.upperBound...].prefix { $0 != "\"" }) }
        }
        return nil
    }

    @Test func `promtool finds no fault with the metrics`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write(GatewayReading.sample.text(.prometheus), to: "metrics")
        try await run(Self.promtool, ["check", "metrics"], in: directory)
    }

    @Test(arguments: [(ExpositionFormat.prometheus, "prometheus_client.parser"), (.openMetrics, "prometheus_client.openmetrics.parser")])
    func `Prometheus's library parses each format and finds every metric`(format: ExpositionFormat, parser: String) async throws {
        let directory = try TemporaryDirectory()
        try directory.write(GatewayReading.sample.text(format), to: "metrics")
        let names = MetricFamily.all.map { format == .openMetrics ? $0.baseName : $0.name }
        let script = """
            import sys
            from \(parser) import text_string_to_metric_families as parse
            families = list(parse(sys.stdin.read()))
            found = {family.name for family in families}
            wanted = set(sys.argv[1:])
            # The classic parser strips the suffix of counters.
            wanted = wanted if wanted <= found else {name.removesuffix('_total') for name in wanted}
            assert found == wanted, found ^ wanted
            samples = [sample for family in families for sample in family.samples]
            assert len(samples) > 400, len(samples)
            exemplars = [sample.exemplar for sample in samples if sample.exemplar]
            assert len(exemplars) == \(format == .openMetrics ? 2 : 0), exemplars
            assert any(sample.labels.get('certificate') == 'b"\\\\\\n.pem' for sample in samples)
            """
        try directory.write(script, to: "check.py")
        try await run(try Python.path(), ["check.py"] + names, in: directory)
    }

    @Test func `every metric is exposed with its type and its labels' values, and nothing else`() {
        let text = GatewayReading.sample.text(.prometheus)
        let types = text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map(String.init)
        #expect(types == MetricFamily.all.map { "# TYPE \($0.name) \($0.kind.rawValue)" })
        for family in MetricFamily.all {
            for label in family.labels {
                guard let values = label.values else { continue }
                let samples = text.split(separator: "\n").filter { $0.hasPrefix(family.name + "{") }
                let found = Set(samples.compactMap { Self.value(of: label.name, in: $0) })
                #expect(found == Set(values), "\(family.name) \(label.name)")
            }
        }
    }

    @Test func `lines, audit records and spans have a counter each for those that were dropped`() {
        let metrics = ParsedMetrics(GatewayReading.sample.text(.prometheus))
        #expect(metrics["parley_log_lines_total"] == 11 && metrics["parley_log_lines_dropped_total"] == 12)
        #expect(metrics["parley_audit_records_dropped_total"] == 13)
        #expect(metrics["parley_tracing_spans_exported_total"] == 14 && metrics["parley_tracing_spans_dropped_total"] == 15)
    }

    @Test func `the worse breaker of two endpoints with one address counts`() {
        let metrics = ParsedMetrics(GatewayReading.sample.text(.prometheus))
        #expect(metrics[#"parley_breaker_state{upstream="chat",endpoint="a:1"}"#] == 2)
        #expect(metrics[#"parley_breaker_state{upstream="chat",endpoint="b:1"}"#] == 1)
        #expect(metrics[#"parley_event_loop_utilization{loop="1"}"#] == 0.25)
        #expect(metrics["parley_message_handling_seconds_count"] == 6)
        #expect(metrics["process_start_time_seconds"] == 1_700_000_000.5)
    }
}
