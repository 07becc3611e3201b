package import GatewayCore
package import NIOCore

/// Writes messages and control frames of one connection, compressed where that was agreed on and pays.
package struct MessageWriter: ~Copyable {
    /// Bytes below which a message is sent plain when it can't refer to earlier ones: of 128 bytes of JSON DEFLATE saves 20 then, and
    /// costs 9 µs, most of it the reset of its tables.
    package static let compressionThreshold = 256
    /// The same with context takeover, where 128 bytes become 35 in 4 µs.
    package static let contextCompressionThreshold = 96

    private let serializer: FrameSerializer
    private let shared: SharedDeflate?
    private let keepsContext: Bool
    private let windowBits: Int
    private var own: Deflater?

    /// - Parameter compression: what was agreed on, and the state of the event loop; nil without permessage-deflate.
    package init(role: WebSocketRole, compression: (agreement: CompressionAgreement, shared: SharedDeflate)? = nil) {
        serializer = FrameSerializer(role: role)
        shared = compression?.shared
        keepsContext = compression?.agreement.takesContextOver(role) ?? false
        windowBits = compression?.agreement.windowBits(role) ?? CompressionAgreement.defaultWindowBits
    }

    /// Bytes of zlib state that belong to this connection alone: 0 without context takeover.
    package var deflateStateBytes: Int { own?.byteCount ?? 0 }

    /// Appends one message as one frame.
    ///
    /// It never takes more bytes than plain: what doesn't become smaller, or what zlib has no memory for, is sent as it is.
    /// - Parameter mayCompress: false for what must not meet other people's bytes in one window (`session`, `auth`), and for audio.
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

    /// The answer to a peer's close frame: its own code, or nothing for an empty one (RFC 6455 §5.5.1).
    package func writeCloseReply(_ code: UInt16?, to output: inout ByteBuffer) {
        serializer.writeClose(code, reason: RawSpan(), to: &output)
    }

    /// - Parameter reason: cut to 123 bytes at the border of a character.
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
