// SPDX-License-Identifier: Apache-2.0

// A million sessions without sockets: the memory of each, the bytes and commands of its commits, and the refreshes of their leases. Checks the
// figures of the page Capacity. The files of the store are those of the gateway, through symbolic links.
// usage: swift run -c release --package-path Tests/Benchmarks sessions [SESSIONS]

import Foundation

let count = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000_000
guard count > 0 else {
    print("usage: sessions [SESSIONS]")
    exit(64)
}
var figures = Figures()
simulateSessions(count, &figures)
simulateRefreshes(count, &figures)
simulateLeases(&figures)
if !figures.problems.isEmpty {
    print("sessions: figures that differ from the page Capacity: \(figures.problems.joined(separator: ", "))")
    exit(1)
}
