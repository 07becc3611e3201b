// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayTLS

/// Orderly closes, truncation and failures of TLS connections.
@Suite struct TLSHandlerEndTests {
    let certificates: TestCertificates

    init() throws {
        certificates = try TestCertificates()
    }

    @Test func `after the peer's close_notify the other direction still works`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        try pair.client.writeOutbound(ByteBuffer(string: "last words"))
        let close = pair.client.close(mode: .output)
        try pair.pump()
        try close.wait()
        #expect(pair.clientCloses.outputs == 1)
        #expect(pair.serverSide.inputClosed == 1)
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "last words")
        #expect(throws: TLSError.outputClosed) { try pair.client.writeAndFlush(ByteBuffer(string: "more")).wait() }

        try pair.server.writeOutbound(ByteBuffer(string: "still here"))
        try pair.pump()
        #expect(String(decoding: pair.clientSide.received, as: UTF8.self) == "still here")

        // The end of TCP after close_notify is ignored.
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(pair.serverSide.inputClosed == 1)
        #expect(pair.serverSide.errors.isEmpty)

        // The second close_notify completes the close on both sides.
        pair.server.close(promise: nil)
        try pair.pump()
        #expect(pair.clientSide.inactive == 1)
        #expect(pair.serverSide.errors.isEmpty && pair.clientSide.errors.isEmpty)
    }

    @Test func `without half-closure close_notify is replied to and closes the channel`() throws {
        let pair = try TLSPair(certificates, halfClosure: false)
        try pair.pump()
        pair.clearWire()
        pair.client.close(mode: .output, promise: nil)
        try pair.pump()
        #expect(pair.serverSide.inputClosed == 0)
        #expect(pair.serverSide.inactive == 1)
        #expect(TLSPair.records(pair.fromServer).count == 1)
        #expect(pair.serverSide.errors.isEmpty)
    }

    @Test func `data after close_notify is ignored`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        pair.client.close(mode: .output, promise: nil)
        try pair.pump()
        try pair.server.writeInbound(ByteBuffer(repeating: 0x17, count: 1000))
        #expect(pair.serverSide.received.isEmpty && pair.serverSide.errors.isEmpty)
        #expect(pair.server.isActive)
    }

    @Test func `an output close before the handshake takes effect after the handshake and the pending writes`() throws {
        let pair = try TLSPair(certificates)
        pair.client.write(ByteBuffer(string: "all I have"), promise: nil)
        pair.client.flush()
        let close = pair.client.close(mode: .output)
        try pair.pump()
        try close.wait()
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "all I have")
        #expect(pair.serverSide.inputClosed == 1)
    }

    @Test func `an end without close_notify is reported as truncation`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(pair.serverSide.tlsErrors == [.truncated])
        #expect(pair.serverSide.inputClosed == 1)

        let other = try TLSPair(certificates)
        try other.pump()
        other.server.pipeline.fireChannelInactive()
        #expect(other.serverSide.tlsErrors == [.truncated])
        #expect(other.serverSide.inactive == 1)
    }

    @Test func `an end during the handshake is reported as closedDuringHandshake`() throws {
        let pair = try TLSPair(certificates)
        let hello = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        try pair.deliver(hello, to: pair.server)
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(pair.serverSide.tlsErrors == [.closedDuringHandshake])
        #expect(!pair.server.isActive)
    }

    @Test(arguments: [
        [UInt8](repeating: 0, count: 100), [0x16, 0x03, 0x01, 0x00, 0x05, 1, 2, 3, 4, 5], [0x16, 0x03, 0x01, 0xFF, 0xFF],
        [0x80, 0x2E, 0x01, 0x03, 0x01] + [UInt8](repeating: 9, count: 64), Array("SSH-2.0-OpenSSH_9.2\r\n".utf8),
        [0x16, 0x03, 0x01, 0x00, 0x04, 0x01, 0xFF, 0xFF, 0xFF],
    ]) func `garbage instead of a ClientHello is rejected with an alert, and the next client is served`(bytes: [UInt8]) throws {
        let files = try certificates.files("localhost")
        let context = try TLSContext(TLSSettings(certificates: [files]), ticketKeys: TLSTicketKeys(rotation: .hours(12)), now: 0)
        let clientContext = try TLSClientContext(verify: .authority(path: files.certificate), serverName: "localhost")
        let rejected = try TLSPair(server: context, client: clientContext)
        try rejected.server.writeInbound(ByteBuffer(bytes: bytes))
        // One case is only the header of a large record. Its content is awaited up to the handshake limit.
        if rejected.serverSide.errors.isEmpty {
            for _ in 0..<80 where rejected.server.isActive { try rejected.server.writeInbound(ByteBuffer(repeating: 1, count: 1024)) }
        }
        guard case .handshakeFailed(let reason, let alert)? = rejected.serverSide.tlsErrors.first else {
            Issue.record("\(rejected.serverSide.errors)")
            return
        }
        #expect(!reason.isEmpty)
        #expect(alert?.direction != .received)
        #expect(!rejected.server.isActive)

        let next = try TLSPair(server: context, client: clientContext)
        try next.pump()
        #expect(next.serverSide.completed.count == 1)
    }

    @Test func `a corrupted byte at any position is handled safely`() throws {
        // Deterministic: each byte of a ClientHello is corrupted in turn, on a new pair.
        let files = try certificates.files("localhost")
        let context = try TLSContext(TLSSettings(certificates: [files]), ticketKeys: TLSTicketKeys(rotation: .hours(12)), now: 0)
        let clientContext = try TLSClientContext(verify: .none, serverName: "localhost")
        var length = 300
        var position = 0
        while position < length {
            let pair = try TLSPair(server: context, client: clientContext)
            var hello = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
            length = hello.readableBytes
            let byte = try #require(hello.getInteger(at: position, as: UInt8.self))
            hello.setInteger(byte ^ 0x55, at: position)
            try pair.deliver(hello, to: pair.server)
            try pair.pump()
            // Client and server must agree on whether the handshake completed.
            #expect(pair.serverSide.completed.isEmpty || pair.clientSide.completed.count == 1)
            position += 1
        }
    }

    @Test func `a tampered record fails the connection after the previous records were delivered`() throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        try pair.client.writeOutbound(ByteBuffer(string: "good"))
        var wire = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        try pair.client.writeOutbound(ByteBuffer(string: "evil"))
        var second = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        let last = second.writerIndex - 1
        second.setInteger(try #require(second.getInteger(at: last, as: UInt8.self)) ^ 1, at: last)
        wire.writeBuffer(&second)
        try pair.server.writeInbound(wire)
        #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "good")
        guard case .protocolFailure(_, let alert)? = pair.serverSide.tlsErrors.first else {
            Issue.record("\(pair.serverSide.errors)")
            return
        }
        #expect(alert == TLSAlert(direction: .sent, code: 20, isFatal: true))
        try pair.pump()
        guard case .protocolFailure(_, let received)? = pair.clientSide.tlsErrors.first else {
            Issue.record("\(pair.clientSide.errors)")
            return
        }
        #expect(received == TLSAlert(direction: .received, code: 20, isFatal: true))
    }

    @Test func `when the client rejects an unknown authority, the server reports a received alert`() throws {
        let files = try certificates.files("localhost")
        let other = try certificates.files("localhost", file: "other")
        let pair = try TLSPair(
            server: try TLSContext(TLSSettings(certificates: [files]), ticketKeys: TLSTicketKeys(rotation: .hours(12)), now: 0),
            client: try TLSClientContext(verify: .authority(path: other.certificate), serverName: "localhost"))
        try pair.pump()
        guard case .handshakeFailed(let reason, let sent)? = pair.clientSide.tlsErrors.first,
            case .handshakeFailed(_, let received)? = pair.serverSide.tlsErrors.first
        else {
            Issue.record("\(pair.clientSide.errors) \(pair.serverSide.errors)")
            return
        }
        #expect(reason.contains("certificate verify failed"))
        #expect(sent?.direction == .sent)
        #expect(received?.direction == .received)
        #expect(sent?.code == received?.code)
    }

    @Test func `a certificate for another name is rejected by the client`() throws {
        let files = try certificates.files("localhost")
        let pair = try TLSPair(
            server: try TLSContext(TLSSettings(certificates: [files]), ticketKeys: TLSTicketKeys(rotation: .hours(12)), now: 0),
            client: try TLSClientContext(verify: .authority(path: files.certificate), serverName: "elsewhere.example"))
        try pair.pump()
        guard case .handshakeFailed(let reason, _)? = pair.clientSide.tlsErrors.first else {
            Issue.record("\(pair.clientSide.errors)")
            return
        }
        #expect(reason.contains("hostname mismatch"))
    }

    // The client also counts the session ticket: after 32 replies it would reject the server.
    @Test(arguments: [(count: 31, isRejected: false), (32, false), (33, true)])
    func `key updates are handled; a flood of them is rejected`(count: Int, isRejected: Bool) throws {
        let pair = try TLSPair(certificates)
        try pair.pump()
        let handler = try pair.client.pipeline.syncOperations.handler(type: TLSHandler.self)
        for _ in 0..<count {
            handler.connection.withSSL { ssl in
                #expect(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
                #expect(SSL_do_handshake(ssl) == 1)
            }
            let wire = try #require(pair.buffers.takeCiphertext())
            try pair.server.writeInbound(wire)
        }
        if isRejected {
            guard case .protocolFailure(let reason, _)? = pair.serverSide.tlsErrors.first else {
                Issue.record("\(pair.serverSide.errors)")
                return
            }
            #expect(reason.contains("too many"))
        } else {
            try pair.pump()
            try pair.client.writeOutbound(ByteBuffer(string: "new keys"))
            try pair.server.writeOutbound(ByteBuffer(string: "here too"))
            try pair.pump()
            #expect(pair.serverSide.errors.isEmpty)
            if count == 31 {
                #expect(String(decoding: pair.serverSide.received, as: UTF8.self) == "new keys")
                #expect(String(decoding: pair.clientSide.received, as: UTF8.self) == "here too")
            }
        }
    }
}
