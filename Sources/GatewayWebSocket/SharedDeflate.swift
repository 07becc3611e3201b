import NIOCore

/// The zlib state of one event loop, for all its connections that don't keep context between messages.
///
/// A message is inflated or deflated in one go on its loop, so one stream serves any number of connections, and an idle one costs nothing.
/// Must be used on one event loop only.
package final class SharedDeflate {
    /// What is kept of the buffer for inflated messages between two of them, in bytes.
    static let maximumSpareBytes = 256 * 1024

    private let memoryCeiling: Int
    private var inflater: Inflater?
    /// By window bits, 9–15.
    private var deflaters: InlineArray<7, Deflater?> = InlineArray(repeating: nil)
    private var spare = ByteBuffer()
    /// Where messages are deflated before their frame is written.
    var scratch = ByteBuffer()

    /// - Parameter memoryCeiling: bytes that each zlib stream may allocate; a message that needs more isn't inflated (1011), or sent plain.
    package init(memoryCeiling: Int = .max) {
        self.memoryCeiling = memoryCeiling
    }

    /// Bytes that the loop holds for compression, whatever the number of connections.
    package var byteCount: Int {
        var total = (inflater?.byteCount ?? 0) + spare.storageCapacity + scratch.storageCapacity
        for index in 0..<deflaters.count { total += deflaters[index]?.byteCount ?? 0 }
        return total
    }

    /// A stream for clients that take no context over, whatever their window is.
    func sharedInflater() -> Inflater? {
        if let inflater { return inflater }
        inflater = Inflater(windowBits: 15, keepsContext: false, memoryCeiling: memoryCeiling)
        return inflater
    }

    /// A stream for connections of ours that take no context over.
    func sharedDeflater(windowBits: Int) -> Deflater? {
        let index = windowBits - 9
        guard index >= 0, index < deflaters.count else { return nil }
        if let deflater = deflaters[index] { return deflater }
        let deflater = Deflater(windowBits: windowBits, keepsContext: false, memoryCeiling: memoryCeiling)
        deflaters[index] = deflater
        return deflater
    }

    func ownInflater(windowBits: Int) -> Inflater? {
        Inflater(windowBits: windowBits, keepsContext: true, memoryCeiling: memoryCeiling)
    }

    func ownDeflater(windowBits: Int) -> Deflater? {
        Deflater(windowBits: windowBits, keepsContext: true, memoryCeiling: memoryCeiling)
    }

    /// An empty buffer that its taker owns until it gives it back. A second one taken meanwhile is new: readers never share bytes.
    func takeSpare() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &spare)
        return taken
    }

    func giveBack(_ buffer: consuming ByteBuffer) {
        guard buffer.storageCapacity > spare.storageCapacity, buffer.storageCapacity <= Self.maximumSpareBytes else { return }
        buffer.clear()
        spare = buffer
    }

    /// Lets go of a scratch buffer that one big message has blown up.
    func trimScratch() {
        if scratch.storageCapacity > Self.maximumSpareBytes { scratch = ByteBuffer() }
        scratch.clear()
    }
}
