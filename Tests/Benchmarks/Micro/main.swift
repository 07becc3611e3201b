// Benchmarks of the gateway's parts, one by one.
// usage: swift run -c release --package-path Tests/Benchmarks micro [PART OF A NAME]

let stopwatch = Stopwatch(wanted: CommandLine.arguments.dropFirst().first ?? "")
benchmarkCore(stopwatch)
benchmarkMessages(stopwatch)
benchmarkWebSocket(stopwatch)
