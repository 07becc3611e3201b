// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The decompression of one connection: with the event loop's shared stream, or its own if the peer uses context takeover.
final class Inflation {
    private let shared: SharedDeflate
    /// Whether messages may refer to previous ones, so that none can be skipped.
    let keepsContext: Bool
    private let windowBits: Int
    /// The connection's own stream, created for the first compressed message.
    private var own: Inflater?

    init(_ agreement: CompressionAgreement, reader: WebSocketRole, shared: SharedDeflate) {
        self.shared = shared
        keepsContext = agreement.usesContextTakeover(reader.peer)
        // Some peers' zlib rounds a window of 8 bits up to 9.
        windowBits = max(9, agreement.windowBits(reader.peer))
    }

    var ownBytes: Int { own?.byteCount ?? 0 }

    func takeBuffer() -> ByteBuffer { shared.takeSpare() }

    func recycle(_ buffer: consuming ByteBuffer) { shared.recycle(buffer) }

    func inflate(_ message: RawSpan, limit: Int, into output: inout ByteBuffer) throws(WebSocketError) {
        guard let inflater = inflater() else { throw .inflateOutOfMemory }
        try inflater.inflate(message, limit: limit, into: &output)
    }

    private func inflater() -> Inflater? {
        guard keepsContext else { return shared.sharedInflater() }
        if own == nil { own = shared.ownInflater(windowBits: windowBits) }
        return own
    }
}
