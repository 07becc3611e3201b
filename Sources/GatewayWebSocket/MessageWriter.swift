// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore

/// The writer of one connection's messages and control frames, which compresses messages if negotiated and worthwhile.
package struct MessageWriter: ~Copyable {
    /// The size below which messages aren't compressed without context takeover, in bytes: DEFLATE saves 20 of 128 bytes of JSON and takes
    /// 9 µs, mostly for resetting its tables.
    package static let compressionThreshold = 256
    /// The size below which messages aren't compressed with context takeover, which reduces 128 bytes to 35 in 4 µs.
    package static let contextCompressionThreshold = 96

    private let serializer: FrameSerializer
    private let shared: SharedDeflate?
    private let keepsContext: Bool
    private let windowBits: Int
    private var own: Deflater?

    /// - Parameter compression: the negotiated parameters and the event loop's zlib state; nil without permessage-deflate.
    package init(role: WebSocketRole, compression: (agreement: CompressionAgreement, shared: SharedDeflate)? = nil) {
        serializer = FrameSerializer(role: role)
        shared = compression?.shared
        keepsContext = compression?.agreement.usesContextTakeover(role) ?? false
        windowBits = compression?.agreement.windowBits(role) ?? CompressionAgreement.defaultWindowBits
    }

    /// The bytes of zlib state of this connection: 0 without context takeover.
    package var deflateStateBytes: Int { own?.byteCount ?? 0 }

    /// Appends a message as one frame.
    ///
    /// A message that compression wouldn't make smaller, or for which zlib lacks memory, is sent uncompressed.
    /// - Parameter mayCompress: false for audio and for secrets, which must not share a window with an attacker's bytes (`session`, `auth`)
    package mutating func write(_ kind: MessageKind, _ message: RawSpan, mayCompress: Bool, to output: inout ByteBuffer) {
        if mayCompress, let shared, message.byteCount >= threshold, let deflater = deflater(shared) {
            if deflater.deflate(message, into: &shared.scratch) {
                let compressed = shared.scratch
                serializer.write(kind.opcode, compressed.readableBytesSpan, isCompressed: true, to: &output)
                shared.trimScratch()
                return
            }
            shared.trimScratch()
        }
        serializer.write(kind.opcode, message, to: &output)
    }

    package func writePing(_ payload: RawSpan, to output: inout ByteBuffer) {
        serializer.write(.ping, payload, to: &output)
    }

    package func writePong(_ payload: RawSpan, to output: inout ByteBuffer) {
        serializer.write(.pong, payload, to: &output)
    }

    /// Appends the reply to a peer's close frame: with the same code, or empty if that was empty (RFC 6455 §5.5.1).
    package func writeCloseReply(_ code: UInt16?, to output: inout ByteBuffer) {
        serializer.writeClose(code, reason: RawSpan(), to: &output)
    }

    /// - Parameter reason: truncated to 123 bytes at a character boundary
    package func writeClose(_ code: CloseCode, reason: String, to output: inout ByteBuffer) {
        serializer.writeClose(code.rawValue, reason: reason, to: &output)
    }

    private var threshold: Int { keepsContext ? Self.contextCompressionThreshold : Self.compressionThreshold }

    private mutating func deflater(_ shared: SharedDeflate) -> Deflater? {
        guard keepsContext else { return shared.sharedDeflater(windowBits: windowBits) }
        if own == nil { own = shared.ownDeflater(windowBits: windowBits) }
        return own
    }
}
