// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The zlib state of one event loop, shared by all its connections without context takeover.
///
/// A message is inflated or deflated in one call, so one stream serves any number of connections, and idle connections need no memory. Must
/// be used on one event loop only.
package final class SharedDeflate {
    /// The maximum capacity of a buffer that is kept between messages, in bytes.
    static let maximumSpareBytes = 256 * 1024

    private let memoryCeiling: Int
    private var inflater: Inflater?
    /// The compressors by window bits, 9–15.
    private var deflaters: InlineArray<7, Deflater?> = InlineArray(repeating: nil)
    private var spare = ByteBuffer()
    /// The buffer for a deflated message before its frame is written.
    var scratch = ByteBuffer()

    /// - Parameter memoryCeiling: the limit on each zlib stream's allocations, in bytes. An inbound message that needs more fails with 1011;
    ///   an outbound one is sent uncompressed.
    package init(memoryCeiling: Int = .max) {
        self.memoryCeiling = memoryCeiling
    }

    /// The bytes of this state, independent of the number of connections.
    package var byteCount: Int {
        var total = (inflater?.byteCount ?? 0) + spare.storageCapacity + scratch.storageCapacity
        for index in 0..<deflaters.count { total += deflaters[index]?.byteCount ?? 0 }
        return total
    }

    /// Returns the stream for all peers without context takeover, whatever their window size.
    func sharedInflater() -> Inflater? {
        if let inflater { return inflater }
        inflater = Inflater(windowBits: 15, keepsContext: false, memoryCeiling: memoryCeiling)
        return inflater
    }

    /// Returns the stream for all connections with this window size whose outbound messages don't use context takeover.
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

    /// Returns an empty buffer, which the caller owns until returning it with ``recycle(_:)``. A second caller gets a new buffer.
    func takeSpare() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &spare)
        return taken
    }

    func recycle(_ buffer: consuming ByteBuffer) {
        guard buffer.storageCapacity > spare.storageCapacity, buffer.storageCapacity <= Self.maximumSpareBytes else { return }
        buffer.clear()
        spare = buffer
    }

    /// Clears the scratch buffer, and frees it if a large message has grown it.
    func trimScratch() {
        if scratch.storageCapacity > Self.maximumSpareBytes { scratch = ByteBuffer() }
        scratch.clear()
    }
}
