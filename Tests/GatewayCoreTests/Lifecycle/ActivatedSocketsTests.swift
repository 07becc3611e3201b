// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct ActivatedSocketsTests {
    private static func sockets(
        _ count: String?, names: String? = nil, pid: String = "42"
    ) throws(ActivatedSockets.Fault) -> [ActivatedSockets.Purpose: Int32] {
        var environment = ["LISTEN_PID": pid]
        environment["LISTEN_FDS"] = count
        environment["LISTEN_FDNAMES"] = names
        return try ActivatedSockets(environment: environment, process: 42).descriptors
    }

    @Test func `without LISTEN_FDS, or for another process, there are no sockets`() throws {
        #expect(try ActivatedSockets(environment: [:], process: 42).descriptors == [:])
        #expect(try Self.sockets(nil) == [:])
        #expect(try Self.sockets("0") == [:])
        #expect(try Self.sockets("2", pid: "41") == [:])
        #expect(try Self.sockets("rubbish", pid: "41") == [:])
    }

    @Test(
        arguments: [
            ("1", nil, [.listen: 3]), ("2", nil, [.listen: 3, .operations: 4]), ("1", "unknown", [.listen: 3]),
            ("1", "operations", [.operations: 3]), ("2", "operations:parley", [.operations: 3, .listen: 4]),
            ("2", "parley.socket:parley.socket", [.listen: 3, .operations: 4]),
            ("2", "parley-operations.socket:parley.socket", [.operations: 3, .listen: 4]),
            ("3", "listen:plain:operations", [.listen: 3, .plain: 4, .operations: 5]),
            ("3", "plain:unknown:unknown", [.plain: 3, .listen: 4, .operations: 5]), ("1", "plain", [.plain: 3]), ("1", "", [.listen: 3]),
        ] as [(String, String?, [ActivatedSockets.Purpose: Int32])])
    func `sockets are assigned by name, then in order`(count: String, names: String?, expected: [ActivatedSockets.Purpose: Int32]) throws {
        #expect(try Self.sockets(count, names: names) == expected)
    }

    @Test(
        arguments: [
            ("many", nil, .invalidCount), ("-1", nil, .invalidCount), ("4", nil, .tooMany(4)), ("3", nil, .tooMany(3)),
            ("99999999999999999999", nil, .invalidCount), ("2", "listen", .namesDontMatch(2, 1)),
            ("1", "listen:plain", .namesDontMatch(1, 2)), ("3", "listen:listen:listen", .tooMany(3)),
        ] as [(String, String?, ActivatedSockets.Fault)])
    func `sockets that can't be assigned are rejected`(count: String, names: String?, fault: ActivatedSockets.Fault) {
        #expect(throws: fault) { try Self.sockets(count, names: names) }
    }

    @Test func `variables of the service manager are recognized`() {
        for name in [
            "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY",
        ] {
            #expect(ActivatedSockets.isServiceManagerVariable(name))
        }
        for name in ["PATH", "LISTENER", "HOME", "MY_NOTIFY_SOCKET"] { #expect(!ActivatedSockets.isServiceManagerVariable(name)) }
    }
}
