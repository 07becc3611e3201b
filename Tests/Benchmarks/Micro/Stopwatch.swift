/// Times small pieces of work and prints what they take, a line each.
struct Stopwatch {
    private static let runs = 7
    private static let shortestRun = Duration.milliseconds(40)

    private let clock = ContinuousClock()
    /// Only benchmarks whose name contains it are run.
    private let wanted: String

    init(wanted: String) {
        self.wanted = wanted
        print(Self.line("", "ns an operation", "spread", "throughput"))
    }

    /// Runs `work` with a growing number of repetitions until one run is long enough, then takes the median of several such runs.
    ///
    /// - Parameters:
    ///   - bytes: what one operation works through; with it, the throughput is printed.
    ///   - work: repeats the operation as often as it is told. The loop is in there so that no call stands between two operations.
    func measure(_ name: String, bytes: Int = 0, _ work: (Int) -> Void) {
        guard wanted.isEmpty || name.contains(wanted) else { return }
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

    /// - Parameter bytes: bytes a nanosecond, which are gigabytes a second.
    private static func throughput(_ bytes: Double) -> String {
        bytes < 1 ? "\(number(bytes * 1000)) MB/s" : "\(number(bytes)) GB/s"
    }

    /// Three digits that count, no more than needed.
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

/// Takes a result, so that the work for it isn't optimized away.
@inline(never)
func consume<Value: ~Copyable>(_ value: borrowing Value) {}
