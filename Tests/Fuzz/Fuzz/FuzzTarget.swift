// SPDX-License-Identifier: Apache-2.0

/// A part of the gateway that processes untrusted bytes.
protocol FuzzTarget {
    /// Processes one input. Traps when an invariant is violated; libFuzzer then saves the input.
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
        ("responses", { ResponsesTarget() }),
        ("calls", { CallsTarget() }),
        ("token", { TokenTarget() }),
        ("redis", { RedisTarget() }),
        ("nodes", { NodesTarget() }),
    ]

    /// The selected target. It is set once, before libFuzzer's loop, which runs on the same thread.
    nonisolated(unsafe) static var chosen: (any FuzzTarget)?

    static var names: [String] { all.map(\.name) }

    static func named(_ name: String) -> (any FuzzTarget)? { all.first { $0.name == name }?.make() }
}

/// Checks an invariant of the gateway that must hold for any input.
func require(_ condition: Bool, _ invariant: @autoclosure () -> String, file: StaticString = #file, line: UInt = #line) {
    guard !condition else { return }
    fatalError(invariant(), file: file, line: line)
}

/// Returns the result of an operation that the harness depends on; traps when it throws.
func must<Value>(_ body: () throws -> Value, file: StaticString = #file, line: UInt = #line) -> Value {
    do { return try body() } catch { fatalError("\(error)", file: file, line: line) }
}
