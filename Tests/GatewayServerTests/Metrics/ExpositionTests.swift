// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@testable import GatewayServer

/// The text formats of metrics, and the choice between them.
@Suite struct ExpositionTests {
    private static let counter = MetricFamily.counter(
        "parley_things", #"A \ "quoted" help."#, [.init("kind"), .init("place")])
    private static let histogram = MetricFamily.histogram(
        "parley_wait_seconds", .seconds([0.00001, 0.001, 1, 2.5]), "Time of waiting.", [.init("upstream")])
    private static let sizes = MetricFamily.histogram("parley_size_bytes", .bytes([10, 1_000_000, 2_500_000]), "Size.")

    private func text(_ format: ExpositionFormat, _ write: (inout ExpositionWriter) -> Void) -> String {
        var writer = ExpositionWriter(format)
        write(&writer)
        writer.finish()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func `a counter has the suffix _total in its name, in OpenMetrics only in its samples`() {
        let exemplar = Exemplar(correlationID: ULID(high: 0, low: 1), wall: 1_700_000_000_042)
        func write(_ writer: inout ExpositionWriter) {
            writer.begin(Self.counter)
            writer.sample(["a", "b"], 3, exemplar: exemplar)
        }
        #expect(
            text(.prometheus, write) == #"""
                # HELP parley_things_total A \\ "quoted" help.
                # TYPE parley_things_total counter
                parley_things_total{kind="a",place="b"} 3

                """#)
        #expect(
            text(.openMetrics, write) == #"""
                # HELP parley_things A \\ \"quoted\" help.
                # TYPE parley_things counter
                parley_things_total{kind="a",place="b"} 3 # {correlation_id="00000000000000000000000001"} 1 1700000000.042
                # EOF

                """#)
    }

    @Test func `a histogram has cumulative buckets, a sum and a count in the base unit`() {
        var histogram = Histogram()
        for microseconds in [1, 10, 11, 1000, 2_000_000, 9_000_000] { histogram.record(Int64(microseconds) * 1000) }
        func write(_ writer: inout ExpositionWriter) {
            writer.begin(Self.histogram)
            writer.sample(["chat"], histogram)
        }
        #expect(
            text(.prometheus, write) == #"""
                # HELP parley_wait_seconds Time of waiting.
                # TYPE parley_wait_seconds histogram
                parley_wait_seconds_bucket{upstream="chat",le="1e-05"} 2
                parley_wait_seconds_bucket{upstream="chat",le="0.001"} 4
                parley_wait_seconds_bucket{upstream="chat",le="1"} 4
                parley_wait_seconds_bucket{upstream="chat",le="2.5"} 5
                parley_wait_seconds_bucket{upstream="chat",le="+Inf"} 6
                parley_wait_seconds_sum{upstream="chat"} 11.001022
                parley_wait_seconds_count{upstream="chat"} 6

                """#)
        #expect(
            text(.openMetrics, write) == #"""
                # HELP parley_wait_seconds Time of waiting.
                # TYPE parley_wait_seconds histogram
                # UNIT parley_wait_seconds seconds
                parley_wait_seconds_bucket{upstream="chat",le="1e-05"} 2
                parley_wait_seconds_bucket{upstream="chat",le="0.001"} 4
                parley_wait_seconds_bucket{upstream="chat",le="1.0"} 4
                parley_wait_seconds_bucket{upstream="chat",le="2.5"} 5
                parley_wait_seconds_bucket{upstream="chat",le="+Inf"} 6
                parley_wait_seconds_sum{upstream="chat"} 11.001022
                parley_wait_seconds_count{upstream="chat"} 6
                # EOF

                """#)
    }

    @Test func `the bounds of a histogram of bytes are powers of ten above a million`() {
        let result = text(.openMetrics) { writer in
            writer.begin(Self.sizes)
            writer.sample([], Histogram())
        }
        #expect(result.contains(#"{le="10.0"} 0"#) && result.contains(#"{le="1e+06"} 0"#) && result.contains(#"{le="2.5e+06"} 0"#))
        #expect(result.contains("# UNIT parley_size_bytes bytes\n"))
    }

    @Test func `a label value is escaped`() {
        let result = text(.prometheus) { writer in
            writer.begin(Self.counter)
            writer.sample(["a\"b\\c\nd", "é"], 1)
        }
        #expect(result.hasSuffix(#"{kind="a\"b\\c\nd",place="é"} 1"# + "\n"))
    }

    @Test(arguments: [
        (String?.none, ExpositionFormat.prometheus), ("", .prometheus), ("*/*", .prometheus), ("text/plain", .prometheus),
        ("text/html", .prometheus), ("application/openmetrics-text", .openMetrics),
        ("APPLICATION/OpenMetrics-Text ; version=1.0.0", .openMetrics),
        ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", .openMetrics),
        ("application/openmetrics-text; version=0.0.1", .prometheus), ("application/openmetrics-text; version=2.0.0", .prometheus),
        ("application/openmetrics-text;q=0", .prometheus), ("application/openmetrics-text;q=0.4, text/plain;q=0.5", .prometheus),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.5", .openMetrics),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.5", .openMetrics),
        ("application/openmetrics-text;q=x, text/plain;q=0.001", .prometheus),
        ("text/plain;q=0,application/openmetrics-text;q=0.001", .openMetrics),
        // Prometheus 2 and 3.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            .openMetrics
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
            .openMetrics
        ),
        ("text/plain;version=0.0.4;q=0.4,*/*;q=0.3", .prometheus),
    ])
    func `the format with the higher weight is chosen, OpenMetrics at equal weights`(accept: String?, format: ExpositionFormat) {
        #expect(ExpositionFormat(accept: accept) == format)
    }

    @Test func `each metric has a help text, at most 20 buckets with exact bounds, and a distinct name`() {
        #expect(Set(MetricFamily.all.map(\.name)).count == MetricFamily.all.count)
        for family in MetricFamily.all {
            #expect(family.name.hasPrefix("parley_") || family.name.hasPrefix("process_"))
            #expect(family.help.hasSuffix(".") && !family.help.isEmpty, "\(family.name)")
            #expect((family.kind == .histogram) == !family.bounds.values.isEmpty)
            #expect(family.bounds.values.count <= 20, "\(family.name)")
            for bound in family.bounds.integers {
                #expect(Histogram.upperBound(of: Histogram.index(of: bound)) == bound, "\(family.name) \(bound)")
            }
            #expect(family.bounds.values == family.bounds.values.sorted())
        }
    }
}
