import Foundation
import GatewayCore
import NIOCore
import NIOEmbedded

@testable import GatewayServer
@testable import GatewayTLS

/// Records of TLS: rubbish in place of a ClientHello, rubbish behind a handshake, and the records of a real client with some bytes changed.
///
/// Promises: what is handed on is what the client said, or the beginning of it; an end is told once; and of a first flight the verdict is
/// the same whatever the pieces.
final class TLSTarget: FuzzTarget {
    private let server: TLSContext
    private let clients: [TLSClientContext]

    init() {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("parley-fuzz-\(getpid())").path
        need { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
        let now = Int64(Date().timeIntervalSince1970)
        let files = need { try DevelopmentCertificate.files(in: folder, now: now) }
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
            let cut = TLSEnd(need { try TLSHandler(server: server, buffers: TLSBuffers()) { "id" } })
            cut.feed(split.pieces(of: bytes))
            require(whole.errors == cut.errors, "one verdict whatever the pieces: \(whole.errors) \(cut.errors)")
            require(whole.received.isEmpty && cut.received.isEmpty, "nothing is read before the handshake")
            return
        }
        let buffers = TLSBuffers()
        let end = TLSEnd(need { try TLSHandler(server: server, buffers: buffers) { "id" } })
        let client = TLSEnd(need { try TLSHandler(client: clients[Int(mode >> 2) & 1], buffers: buffers) })
        end.echoes = mode & 8 == 8
        switch mode & 3 {
        case 1:
            exchange(client, end) { $0 }
            require(end.isEstablished, "a good client gets in")
            end.feed(split.pieces(of: input.bytes))
            require(end.received.isEmpty, "rubbish isn't handed on")
        case 2:
            exchange(client, end) { $0 }
            let damage = Damage(&input)
            let sent = input.measured(scale: 3)
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

    /// Carries bytes to and fro until both are silent; what the client sends goes through `change`.
    private func exchange(_ client: TLSEnd, _ server: TLSEnd, _ change: ([UInt8]) -> [UInt8]) {
        for _ in 0..<100 {
            let sent = client.takeOutput()
            if !sent.isEmpty { server.feed([change(sent)]) }
            let answered = server.takeOutput()
            if !answered.isEmpty { client.feed([answered]) }
            if sent.isEmpty && answered.isEmpty { return }
        }
        require(false, "two ends fall silent")
    }

    private func check(_ end: TLSEnd, against sent: [[UInt8]], isWhole: Bool) {
        let said = Array(sent.joined())
        require(said.starts(with: end.received), "what is handed on is what was said")
        require(!isWhole || end.received == said, "what was said is handed on")
    }
}

/// Bytes to change: a count, then two bytes of place and one of change for each.
private struct Damage {
    private var changes: [(place: Int, bits: UInt8)] = []

    init(_ input: inout FuzzInput) {
        for _ in 0..<Int(input.byte() & 7) {
            changes.append((place: Int(input.byte()) << 8 | Int(input.byte()), bits: input.byte()))
        }
    }

    var isNone: Bool { changes.allSatisfy { $0.bits == 0 } }

    func apply(to bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        for change in changes { bytes[change.place % bytes.count] ^= change.bits }
    }
}
