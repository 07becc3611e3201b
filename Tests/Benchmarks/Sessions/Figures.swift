// SPDX-License-Identifier: Apache-2.0

/// The figures of a simulation, and those that aren't as the page Capacity says.
struct Figures {
    private(set) var problems: [String] = []

    /// Prints a figure, and compares it with the page's.
    mutating func report(_ name: String, _ value: Double, _ unit: String, expected: ClosedRange<Double>) {
        let isExpected = expected.contains(value)
        let text = value >= 100 ? "\(Int(value.rounded()))" : "\((value * 100).rounded() / 100)"
        print("\(isExpected ? " " : "!") \(name): \(text) \(unit)" + (isExpected ? "" : ", expected \(expected)"))
        if !isExpected { problems.append(name) }
    }
}
