// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import GatewayWebSocket
import NIOCore

/// Compressed output, inflated by the peer's reader.
///
/// Invariants: Every message inflates to the original, whatever preceded it, and isn't larger than uncompressed. Messages of two
/// connections that share the loop's zlib streams don't mix.
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
        var pair = Pair(role: role, agreement: agreement, shared: shared)
        // The second connection sends some of the first one's messages reversed. If the shared streams mixed their state, they wouldn't
        // inflate to the originals.
        var otherPair = Pair(role: role, agreement: agreement, shared: shared)
        for message in input.lengthPrefixed(scale: Int(input.byte()) & 7) {
            pair.check(message)
            if message.count & 3 == 0 { otherPair.check(message.reversed()) }
        }
        require(shared.byteCount < 2_000_000, "the loop's streams are bounded")
    }

    /// A writer and the peer's reader.
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
            require(output.readableBytes <= message.count + overhead, "a compressed message isn't larger than uncompressed")
            let before = log.entries.count
            log.feed(Array(output.readableBytesView))
            require(log.entries.count == before + 1 && log.entries.last == .binary(message), "a message inflates to the original")
        }
    }
}
