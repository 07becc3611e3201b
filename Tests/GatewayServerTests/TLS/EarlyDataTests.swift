// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Foundation
import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayTLS

/// Early data of clients with a ticket of another server (RFC 8446 §4.2.10), such as behind a load balancer or after the server software was replaced.
@Suite(.serialized) struct EarlyDataTests {
    let certificates: TestCertificates
    let store: TLSContextStore
    let now = Int64(Date().timeIntervalSince1970)

    init() throws {
        certificates = try TestCertificates()
        store = try TLSContextStore(
            TLSSettings(certificates: [try certificates.files("localhost")]), ticketKeys: TLSTicketKeys(rotation: .hours(12)), now: now)
    }

    /// Returns a session file with a ticket of a server that accepts early data and has other keys.
    private func foreignSession() throws -> String {
        let foreign = try TLSContextStore(
            TLSSettings(certificates: [try certificates.files("localhost", file: "foreign")]),
            ticketKeys: TLSTicketKeys(rotation: .hours(12)), now: now)
        SSL_CTX_set_max_early_data(foreign.current.groups[0], 1 << 20)
        let server = try TLSEchoServer(foreign)
        defer { server.stop() }
        let path = certificates.directory + "/foreign.session"
        let result = try OpenSSLCommand.connect(server.port, ["-tls1_3", "-sess_out", path], input: "hello\nbye\n")
        #expect(result.output.contains("Max Early Data: 1048576"))
        return path
    }

    private func earlyData(_ count: Int) throws -> String {
        try certificates.write(String(repeating: "e", count: count), file: "early")
    }

    /// The case with P-384 needs a HelloRetryRequest: the client's first key share is of an unsupported group.
    static let accepted: [(count: Int, arguments: [String])] = [
        (1, []), (16384, []), (57344, []), (16384, ["-groups", "P-384:X25519"]), (16384, ["-ciphersuites", "TLS_AES_128_GCM_SHA256"]),
    ]

    @Test(arguments: accepted)
    func `early data for another server is skipped, and a full handshake follows`(count: Int, arguments: [String]) throws {
        let session = try foreignSession()
        let server = try TLSEchoServer(store)
        defer { server.stop() }
        let result = try OpenSSLCommand.connect(
            server.port, ["-tls1_3", "-sess_in", session, "-early_data", try earlyData(count)] + arguments, input: "hello\nbye\n")
        #expect(result.output.contains("Early data was rejected"), "\(result.output)")
        #expect(result.output.contains("New, TLSv1.3"))
        #expect(result.output.contains("hello"))
        #expect(!result.output.contains("eee"))
        #expect(server.errors.isEmpty, "\(server.errors)")
        #expect(server.completed.map(\.isResumed) == [false])
    }

    @Test func `early data over the limit is rejected with an alert, and the next client is served`() throws {
        let session = try foreignSession()
        let server = try TLSEchoServer(store)
        defer { server.stop() }
        let early = try earlyData(TLSConnection.maxSkippedEarlyData + 8192)
        let result = try OpenSSLCommand.connect(
            server.port, ["-tls1_3", "-sess_in", session, "-early_data", early], input: "hello\nbye\n", mayFail: true)
        #expect(!result.output.contains("hello"))
        guard case .handshakeFailed(let reason, let alert)? = server.errors.first else {
            Issue.record("\(server.errors)")
            return
        }
        #expect(reason.contains("too much early data"))
        #expect(alert == TLSAlert(direction: .sent, code: 10, isFatal: true))
        #expect(try OpenSSLCommand.connect(server.port, ["-quiet"], input: "hello\nbye\n").output.contains("hello"))
    }

    @Test func `tickets of the gateway don't permit early data`() throws {
        let server = try TLSEchoServer(store)
        defer { server.stop() }
        let session = certificates.directory + "/own.session"
        let result = try OpenSSLCommand.connect(server.port, ["-tls1_3", "-sess_out", session], input: "hello\nbye\n")
        #expect(result.output.contains("Max Early Data: 0"))
    }

    @Test func `application data before the handshake is rejected without an offer of early data`() throws {
        let pair = try TLSPair(certificates)
        let hello = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        try pair.deliver(hello, to: pair.server)
        let record: [UInt8] = [0x17, 3, 3, 0, 40] + [UInt8](repeating: 7, count: 40)
        try pair.server.writeInbound(ByteBuffer(bytes: record))
        guard case .handshakeFailed(_, let alert)? = pair.serverSide.tlsErrors.first else {
            Issue.record("\(pair.serverSide.errors)")
            return
        }
        #expect(alert?.direction == .sent && alert?.code == 20)
    }
}
