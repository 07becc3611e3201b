// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Support
import Synchronization
import Testing

@testable import GatewayTLS

/// New tickets for resumed connections (RFC 8446 §C.4: a client uses each ticket once), and the limit on renewals.
@Suite(.serialized) struct TicketRenewalTests {
    let certificates: TestCertificates
    let clock = TLSTicketKeysTests.Clock()
    let now = Int64(Date().timeIntervalSince1970)

    init() throws {
        certificates = try TestCertificates()
    }

    /// A wall clock that the test sets.
    private final class Wall: Sendable {
        private let value: Mutex<Int64>
        init(_ seconds: Int64) { value = Mutex(seconds) }
        var seconds: Int64 {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }
    }

    /// Connects with the ticket of the previous connection, if any, and saves the new one. Returns whether the session was resumed.
    private func connect(_ server: TLSEchoServer, _ number: Int, _ arguments: [String] = ["-tls1_3"]) throws -> Bool {
        let files = [number - 1, number].map { certificates.directory + "/\($0).session" }
        let resumes = number > 0 ? ["-sess_in", files[0]] : []
        let result = try OpenSSLCommand.connect(server.port, arguments + resumes + ["-sess_out", files[1]], input: "hello\nbye\n")
        #expect(result.output.contains("hello"))
        return result.output.contains("Reused, TLSv1.")
    }

    private func ticket(_ number: Int) throws -> String {
        let text = try OpenSSLCommand.run(["sess_id", "-in", certificates.directory + "/\(number).session", "-text", "-noout"]).output
        return String(text.drop { $0 != "\n" }.prefix(2000))
    }

    @Test func `each resumed connection gets a new ticket that resumes the next one`() throws {
        let keys = TLSTicketKeys(rotation: .hours(12), now: clock.now)
        let settings = TLSSettings(certificates: [try certificates.files("localhost")])
        let server = try TLSEchoServer(try TLSContextStore(settings, ticketKeys: keys, now: now))
        defer { server.stop() }
        #expect(try (0..<4).map { try connect(server, $0) } == [false, true, true, true])
        #expect(try Set((0..<4).map(ticket)).count == 4)
    }

    @Test func `resumptions extend a session to a week at most`() throws {
        let keys = TLSTicketKeys(rotation: .hours(100), now: clock.now)
        let settings = TLSSettings(certificates: [try certificates.files("localhost")])
        let server = try TLSEchoServer(try TLSContextStore(settings, ticketKeys: keys, now: now))
        defer { server.stop() }
        #expect(try !connect(server, 0))
        clock.advance(.hours(99))
        #expect(try connect(server, 1))
        clock.advance(.hours(7 * 24 - 99) - .nanoseconds(1))
        #expect(try connect(server, 2))
        clock.advance(.nanoseconds(1))
        #expect(try !connect(server, 3))
        // A full handshake starts another week.
        clock.advance(.hours(99))
        #expect(try connect(server, 4))
    }

    @Test(arguments: [["-tls1_2"], ["-tls1_3"]])
    func `a session isn't resumed after the client's certificate has expired`(version: [String]) throws {
        let authority = try certificates.make(.init(["authority"], isAuthority: true), file: "authority")
        let client = try certificates.make(.init(["client"], notAfter: 5000), file: "client", issuer: authority).files
        let settings = TLSSettings(
            certificates: [try certificates.files("localhost")], clientAuthority: authority.files.certificate,
            clientAuthentication: .required)
        let wall = Wall(now)
        let keys = TLSTicketKeys(rotation: .hours(12), now: clock.now, wall: { wall.seconds })
        let server = try TLSEchoServer(try TLSContextStore(settings, ticketKeys: keys, now: now))
        defer { server.stop() }
        let arguments = version + ["-cert", client.certificate, "-key", client.key]
        #expect(try !connect(server, 0, arguments))
        wall.seconds = now + 4000
        let session = ["-sess_in", certificates.directory + "/0.session"]
        #expect(try OpenSSLCommand.connect(server.port, arguments + session).output.contains("Reused, TLSv1."))
        wall.seconds = now + 6000
        #expect(try OpenSSLCommand.connect(server.port, arguments + session).output.contains("New, TLSv1."))
    }
}
