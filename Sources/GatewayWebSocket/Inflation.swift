import NIOCore

/// The inflating side of one connection: the loop's stream, or one of its own when the peer takes context over.
final class Inflation {
    private let shared: SharedDeflate
    /// The next message may refer to this one: none can be left out.
    let keepsContext: Bool
    private let windowBits: Int
    /// Made for the first compressed message.
    private var own: Inflater?

    init(_ agreement: CompressionAgreement, reader: WebSocketRole, shared: SharedDeflate) {
        self.shared = shared
        keepsContext = agreement.takesContextOver(reader.peer)
        // zlib of some peers rounds a window of 8 bits up to 9.
        windowBits = max(9, agreement.windowBits(reader.peer))
    }

    var ownBytes: Int { own?.byteCount ?? 0 }

    func takeBuffer() -> ByteBuffer { shared.takeSpare() }

    func giveBack(_ buffer: consuming ByteBuffer) { shared.giveBack(buffer) }

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
