// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@testable import GatewayServer

@Suite struct OperationsConnectionLimitTests {
    /// A reference to a limit, so that expectations can change it.
    private final class Connections {
        private var limit: OperationsConnectionLimit<Int>

        init(_ connections: Int, healthConnections: Int) {
            limit = OperationsConnectionLimit(connections: connections, healthConnections: healthConnections)
        }

        /// Returns `full` or `healthOnly`, followed by `-` and the evicted connection if any; nil if the new connection must be closed.
        func admit(_ id: Int, at second: Int64) -> String? {
            limit.admit(id, at: Self.at(second)).map { "\($0.service)" + ($0.evicted.map { " -\($0)" } ?? "") }
        }

        func setWaiting(_ id: Int, _ isWaiting: Bool, at second: Int64) { limit.setWaiting(id, isWaiting, at: Self.at(second)) }
        func remove(_ id: Int) { limit.remove(id) }
        func isOpen(_ id: Int) -> Bool { limit.service(of: id) != nil }

        private static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
    }

    @Test func `below the limit no connection is evicted; at the limit the one that has waited longest is`() {
        let limit = Connections(3, healthConnections: 1)
        for id in 1...3 { #expect(limit.admit(id, at: Int64(id)) == "full") }
        // The first one was processing a request in between, so the second has waited longest.
        limit.setWaiting(1, false, at: 4)
        limit.setWaiting(1, true, at: 5)
        #expect(limit.admit(4, at: 6) == "full -2")
        #expect(!limit.isOpen(2))
        #expect(limit.admit(5, at: 7) == "full -3")
        #expect(limit.admit(6, at: 8) == "full -1")
        limit.remove(4)
        #expect(limit.admit(7, at: 9) == "full")
    }

    @Test func `a connection that is processing a request is never evicted, and health has separate connections`() {
        let limit = Connections(2, healthConnections: 1)
        for id in 1...2 {
            #expect(limit.admit(id, at: 0) == "full")
            limit.setWaiting(id, false, at: 0)
        }
        #expect(limit.admit(3, at: 1) == "healthOnly")
        #expect(limit.admit(4, at: 2) == "healthOnly -3")
        limit.setWaiting(4, false, at: 2)
        #expect(limit.admit(5, at: 3) == nil)
        limit.setWaiting(2, true, at: 4)
        #expect(limit.admit(6, at: 5) == "full -2")
    }

    @Test func `a connection that keeps waiting keeps the start of its wait`() {
        let limit = Connections(2, healthConnections: 0)
        #expect(limit.admit(1, at: 0) == "full")
        #expect(limit.admit(2, at: 1) == "full")
        limit.setWaiting(1, true, at: 2)
        #expect(limit.admit(3, at: 3) == "full -1")
    }
}
