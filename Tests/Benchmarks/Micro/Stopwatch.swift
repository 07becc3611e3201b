// SPDX-License-Identifier: Apache-2.0

/// Measures the duration of short operations, and prints a line for each.
struct Stopwatch {
    private static let runs = 7
    private static let shortestRun = Duration.milliseconds(40)

    private let clock = ContinuousClock()
    /// Runs only benchmarks whose name contains this text; all if it is empty.
    private let filter: String

    init(filter: String) {
        self.filter = filter
        print(Self.line("", "ns/operation", "spread", "throughput"))
    }

    /// Runs `work` with increasing repetitions until a run is long enough, then prints the median of several runs.
    ///
    /// - Parameters:
    ///   - bytes: the number of bytes that one operation processes, for the throughput; 0 to omit it.
    ///   - work: repeats the operation the given number of times. The closure contains the loop, so that there is no call per operation.
    func measure(_ name: String, bytes: Int = 0, _ work: (Int) -> Void) {
        guard filter.isEmpty || name.contains(filter) else { return }
        var count = 1
        while clock.measure({ work(count) }) < Self.shortestRun { count *= 2 }
        let times = (0..<Self.runs).map { _ in clock.measure { work(count) } / count }.map { $0.nanoseconds }.sorted()
        let median = times[times.count / 2]
        let spread = (times[times.count - 1] - times[0]) / median
        print(
            Self.line(name, Self.number(median), "\(Self.number(spread * 100)) %", bytes > 0 ? Self.throughput(Double(bytes) / median) : "")
        )
    }

    private static func line(_ columns: String...) -> String {
        let widths = [68, 16, 10, 14]
        return zip(columns, widths).enumerated().map { index, column in
            let padding = String(repeating: " ", count: max(0, column.1 - column.0.count))
            return index == 0 ? column.0 + padding : padding + column.0
        }.joined()
    }

    /// - Parameter bytes: bytes per nanosecond (gigabytes per second)
    private static func throughput(_ bytes: Double) -> String {
        bytes < 1 ? "\(number(bytes * 1000)) MB/s" : "\(number(bytes)) GB/s"
    }

    /// Returns the value with three significant digits, and without a fraction from 100 on.
    private static func number(_ value: Double) -> String {
        if value >= 100 { return "\(Int(value.rounded()))" }
        let scale: Double = value >= 10 ? 10 : 100
        let scaled = Int((value * scale).rounded())
        let fraction = "\(scaled % Int(scale))"
        return "\(scaled / Int(scale))." + String(repeating: "0", count: (value >= 10 ? 1 : 2) - fraction.count) + fraction
    }
}

extension Duration {
    fileprivate var nanoseconds: Double { Double(components.seconds) * 1e9 + Double(components.attoseconds) / 1e9 }
}

/// Uses a result, so that its computation isn't optimized away.
@inline(never)
func consume<Value: ~Copyable>(_ value: borrowing Value) {}
