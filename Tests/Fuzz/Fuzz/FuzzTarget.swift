/// One way of bytes into the gateway.
protocol FuzzTarget {
    /// Feeds one input. Ends the process when a promise doesn't hold, as a trap or the address sanitizer does.
    func run(_ input: FuzzInput)
}

/// The targets by name.
enum Targets {
    private static let all: [(name: String, make: @Sendable () -> any FuzzTarget)] = [
        ("scanner", { ScannerTarget() }),
        ("frames", { FrameTarget() }),
        ("inflate", { InflateTarget() }),
        ("deflate", { DeflateTarget() }),
        ("upgrade", { UpgradeTarget() }),
        ("tls", { TLSTarget() }),
        ("configuration", { ConfigurationTarget() }),
        ("connection", { ConnectionTarget() }),
        ("session", { SessionTarget() }),
        ("answers", { AnswersTarget() }),
        ("calls", { CallsTarget() }),
    ]

    /// Set once, before libFuzzer's loop begins, which runs on the same thread.
    nonisolated(unsafe) static var chosen: (any FuzzTarget)?

    static var names: [String] { all.map(\.name) }

    static func named(_ name: String) -> (any FuzzTarget)? { all.first { $0.name == name }?.make() }
}

/// A promise of the gateway's that must hold for any input.
func require(_ condition: Bool, _ promise: @autoclosure () -> String, file: StaticString = #file, line: UInt = #line) {
    guard !condition else { return }
    fatalError(promise(), file: file, line: line)
}

/// For what the harness itself can't do without.
func need<Value>(_ body: () throws -> Value, file: StaticString = #file, line: UInt = #line) -> Value {
    do { return try body() } catch { fatalError("\(error)", file: file, line: line) }
}
