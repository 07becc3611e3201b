import GatewayCore
import GatewayServer
import GatewayWebSocket
import NIOCore

/// What we send compressed, as the peer reads it.
///
/// Promises: every message comes back as it was, whatever came before it, and takes no more bytes than plain; messages of two connections
/// that share the loop's streams don't mix.
final class DeflateTarget: FuzzTarget {
    func run(_ input: FuzzInput) {
        var input = input
        let role: WebSocketRole = input.bool() ? .client : .server
        let flags = input.byte()
        let bits = 9 + Int(input.byte()) % 7
        let agreement = CompressionAgreement(
            serverNoContextTakeover: flags & 1 == 1, clientNoContextTakeover: flags & 2 == 2,
            serverMaxWindowBits: flags & 4 == 4 ? nil : bits, clientMaxWindowBits: flags & 8 == 8 ? nil : bits)
        let shared = SharedDeflate()
        var writers = Pair(role: role, agreement: agreement, shared: shared)
        // The second only ever sees what is already sent, so that it would show bytes of the first.
        var others = Pair(role: role, agreement: agreement, shared: shared)
        for message in input.measured(scale: Int(input.byte()) & 7) {
            writers.check(message)
            if message.count & 3 == 0 { others.check(message.reversed()) }
        }
        require(shared.byteCount < 2_000_000, "a loop's streams have a bound")
    }

    /// A writer, and the reader at the other end.
    private struct Pair: ~Copyable {
        private var writer: MessageWriter
        private var log: FrameLog
        private let overhead: Int

        init(role: WebSocketRole, agreement: CompressionAgreement, shared: SharedDeflate) {
            writer = MessageWriter(role: role, compression: (agreement, shared))
            log = FrameLog(role: role.peer, limits: WebSocketLimits(maxMessageBytes: 0, maxFragments: 0), compression: agreement)
            overhead = FrameSerializer(role: role).headerByteCount(forPayload: .max)
        }

        mutating func check(_ message: [UInt8]) {
            var output = ByteBuffer()
            message.withRawSpan { writer.write(.binary, $0, mayCompress: true, to: &output) }
            require(output.readableBytes <= message.count + overhead, "compression never costs bytes")
            let before = log.entries.count
            log.feed(Array(output.readableBytesView))
            require(log.entries.count == before + 1 && log.entries.last == .binary(message), "a message comes back as it was")
        }
    }
}
