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
    private let server: TLSContext
    private let clients: [TLSClientContext]

    init() {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("parley-fuzz-\(getpid())").path
        need { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) }
        let now = Int64(Date().timeIntervalSince1970)
        let files = need { try DevelopmentCertificate.files(in: directory, now: now) }
        server = need { try TLSContext(TLSSettings(certificates: [files]), ticketKeys: TLSTicketKeys(rotation: .hours(12)), now: now) }
        clients = [[], ["http/1.1"]].map { protocols in
            need { try TLSClientContext(verify: .none, serverName: "localhost", applicationProtocols: protocols) }
        }
    }

    func run(_ input: FuzzInput) {
        var input = input
        let mode = input.byte()
        let split = input.split()
        guard mode & 3 != 0 else {
            let bytes = input.bytes
            let whole = TLSEnd(need { try TLSHandler(server: server, buffers: TLSBuffers()) { "id" } })
            whole.feed([bytes])
            let inPieces = TLSEnd(need { try TLSHandler(server: server, buffers: TLSBuffers()) { "id" } })
            inPieces.feed(split.pieces(of: bytes))
            require(whole.errors == inPieces.errors, "the result doesn't depend on the split: \(whole.errors) \(inPieces.errors)")
            require(whole.received.isEmpty && inPieces.received.isEmpty, "nothing is delivered before the handshake")
            return
        }
        let buffers = TLSBuffers()
        let end = TLSEnd(need { try TLSHandler(server: server, buffers: buffers) { "id" } })
        let client = TLSEnd(need { try TLSHandler(client: clients[Int(mode >> 2) & 1], buffers: buffers) })
        end.echoes = mode & 8 == 8
        switch mode & 3 {
        case 1:
            exchange(client, end) { $0 }
            require(end.isEstablished, "a valid handshake completes")
            end.feed(split.pieces(of: input.bytes))
            require(end.received.isEmpty, "invalid records aren't delivered")
        case 2:
            exchange(client, end) { $0 }
            let damage = Damage(&input)
            let sent = input.lengthPrefixed(scale: 3)
            for plaintext in sent { client.write(plaintext) }
            var records: [UInt8] = client.takeOutput()
            damage.apply(to: &records)
            end.feed(split.pieces(of: records))
            exchange(client, end) { $0 }
            check(end, against: sent, isWhole: damage.isNone)
        default:
            var damage: Damage? = Damage(&input)
            exchange(client, end) { flight in
                var flight = flight
                damage?.apply(to: &flight)
                damage = nil
                return flight
            }
            let sent = [input.bytes]
            client.write(sent[0])
            exchange(client, end) { $0 }
            check(end, against: sent, isWhole: false)
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

    private func check(_ end: TLSEnd, against sent: [[UInt8]], isWhole: Bool) {
        let plaintext = Array(sent.joined())
        require(plaintext.starts(with: end.received), "the delivered bytes are a prefix of the plaintext")
        require(!isWhole || end.received == plaintext, "the plaintext is delivered completely")
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
