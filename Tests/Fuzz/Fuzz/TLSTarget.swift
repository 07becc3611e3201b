// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import NIOCore
import NIOEmbedded

@testable import GatewayServer
@testable import GatewayTLS

/// TLS records: arbitrary bytes instead of a ClientHello, arbitrary bytes after the handshake, and a real client's records with some bytes
/// changed.
///
/// Invariants: The delivered bytes are a prefix of the client's plaintext. At most one error is reported. The result for a first flight
/// doesn't depend on how it is split.
final class TLSTarget: FuzzTarget {
    private let serverContext: TLSContext
    private let clientContexts: [TLSClientContext]

    init() {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("parley-fuzz-\(getpid())").path
        must { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) }
        let now = Int64(Date().timeIntervalSince1970)
        let files = must { try DevelopmentCertificate.files(in: directory, now: now) }
        let keys = TLSTicketKeys(rotation: .hours(12))
        serverContext = must { try TLSContext(TLSSettings(certificates: [files]), ticketKeys: keys, now: now) }
        clientContexts = [[], ["http/1.1"]].map { protocols in
            must { try TLSClientContext(verify: .none, serverName: "localhost", applicationProtocols: protocols) }
        }
    }

    func run(_ input: FuzzInput) {
        var input = input
        let mode = input.byte()
        let split = input.split()
        guard mode & 3 != 0 else {
            let bytes = input.bytes
            let whole = TLSEnd(must { try TLSHandler(server: serverContext, buffers: TLSBuffers(), plainHTTPDetail: "detail") { "id" } })
            whole.feed([bytes])
            let inPieces = TLSEnd(must { try TLSHandler(server: serverContext, buffers: TLSBuffers(), plainHTTPDetail: "detail") { "id" } })
            inPieces.feed(split.pieces(of: bytes))
            require(whole.errors == inPieces.errors, "the result doesn't depend on the split: \(whole.errors) \(inPieces.errors)")
            require(whole.received.isEmpty && inPieces.received.isEmpty, "nothing is delivered before the handshake")
            return
        }
        let buffers = TLSBuffers()
        let server = TLSEnd(must { try TLSHandler(server: serverContext, buffers: buffers, plainHTTPDetail: "detail") { "id" } })
        let client = TLSEnd(must { try TLSHandler(client: clientContexts[Int(mode >> 2) & 1], buffers: buffers) })
        server.echoes = mode & 8 == 8
        switch mode & 3 {
        case 1:
            exchange(client, server) { $0 }
            require(server.isEstablished, "a valid handshake completes")
            server.feed(split.pieces(of: input.bytes))
            require(server.received.isEmpty, "invalid records aren't delivered")
        case 2:
            exchange(client, server) { $0 }
            let damage = Damage(&input)
            let sent = input.lengthPrefixed(scale: 3)
            for plaintext in sent { client.write(plaintext) }
            var records: [UInt8] = client.takeOutput()
            damage.apply(to: &records)
            server.feed(split.pieces(of: records))
            exchange(client, server) { $0 }
            check(server, against: sent, isWhole: damage.isNone)
        default:
            var damage: Damage? = Damage(&input)
            exchange(client, server) { flight in
                var flight = flight
                damage?.apply(to: &flight)
                damage = nil
                return flight
            }
            let sent = [input.bytes]
            client.write(sent[0])
            exchange(client, server) { $0 }
            check(server, against: sent, isWhole: false)
        }
    }

    /// Exchanges flights until neither end has output; the client's pass through `change`.
    private func exchange(_ client: TLSEnd, _ server: TLSEnd, _ change: ([UInt8]) -> [UInt8]) {
        for _ in 0..<100 {
            let sent = client.takeOutput()
            if !sent.isEmpty { server.feed([change(sent)]) }
            let replied = server.takeOutput()
            if !replied.isEmpty { client.feed([replied]) }
            if sent.isEmpty && replied.isEmpty { return }
        }
        require(false, "the exchange terminates")
    }

    private func check(_ server: TLSEnd, against sent: [[UInt8]], isWhole: Bool) {
        let plaintext = Array(sent.joined())
        require(plaintext.starts(with: server.received), "the delivered bytes are a prefix of the plaintext")
        require(!isWhole || server.received == plaintext, "the plaintext is delivered completely")
    }
}

/// Bytes to change: the input has a count, then for each change two bytes of offset and one byte to XOR.
private struct Damage {
    private var changes: [(offset: Int, bits: UInt8)] = []

    init(_ input: inout FuzzInput) {
        for _ in 0..<Int(input.byte() & 7) {
            changes.append((offset: Int(input.byte()) << 8 | Int(input.byte()), bits: input.byte()))
        }
    }

    var isNone: Bool { changes.allSatisfy { $0.bits == 0 } }

    func apply(to bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        for change in changes { bytes[change.offset % bytes.count] ^= change.bits }
    }
}
