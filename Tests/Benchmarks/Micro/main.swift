// SPDX-License-Identifier: Apache-2.0

// Micro-benchmarks of the gateway's parts.
// usage: swift run -c release --package-path Tests/Benchmarks micro [PART OF A NAME]

let stopwatch = Stopwatch(filter: CommandLine.arguments.dropFirst().first ?? "")
benchmarkCore(stopwatch)
benchmarkMessages(stopwatch)
benchmarkWebSocket(stopwatch)
