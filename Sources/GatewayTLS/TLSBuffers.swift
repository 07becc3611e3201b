// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The buffers that all TLS connections of one event loop share, so that an idle connection keeps none.
///
/// Create one per event loop and pass it to every ``TLSHandler`` on that loop; two loops must never share it. A buffer is filled, passed
/// on, and reused: because `ByteBuffer` copies on write, a handler that keeps a slice keeps its bytes, and otherwise nothing is allocated.
/// If a slice was kept, the next buffer is only as large as its content, so that a slow reader never holds 64 KiB for a few bytes.
package final class TLSBuffers {
    /// The initial capacity of a buffer, and the maximum size of one read or write (slightly more for ciphertext), in bytes.
    package static let capacity = 64 * 1024
    /// The maximum content of a TLS record, in bytes (RFC 8446 §5.1).
    static let recordSize = 16 * 1024
    /// The overhead of a record in bytes: header, content type, tag, and in TLS 1.2 the explicit nonce.
    static let recordOverhead = 32

    /// The buffer for reads from the socket; empty while in use.
    private var received = ByteBuffer()
    /// The decrypted bytes, to be passed up the pipeline.
    var plaintext: ByteBuffer
    /// Small writes to be combined in one record. Never passed on.
    var record: ByteBuffer
    /// Spare storage for pending writes, borrowed by a handler with pending writes.
    var spareWrites: [PendingTLSWrite] = []

    /// The encrypted bytes, to be passed down the pipeline.
    private var ciphertext: ByteBuffer
    /// Whether the content of `ciphertext` was already passed on.
    private var isSpent = true
    private var expected = 0

    private let allocator: ByteBufferAllocator

    package init(allocator: ByteBufferAllocator = ByteBufferAllocator()) {
        self.allocator = allocator
        self.plaintext = allocator.buffer(capacity: Self.capacity)
        self.record = allocator.buffer(capacity: Self.recordSize)
        self.ciphertext = allocator.buffer(capacity: Self.capacity)
    }

    /// Returns a uniquely referenced buffer for a read from the socket. Its previous bytes aren't erased.
    func takeReceived() -> ByteBuffer {
        var buffer = ByteBuffer()
        swap(&buffer, &received)
        if buffer.modifyIfUniquelyOwned({ $0.clear() }) != nil, buffer.capacity == Self.capacity { return buffer }
        return allocator.buffer(capacity: Self.capacity)
    }

    /// Returns a consumed buffer for reuse. If it is still referenced at the next read, it isn't reused.
    func recycle(_ buffer: ByteBuffer) {
        if buffer.storageCapacity == Self.capacity { received = buffer }
    }

    /// The bytes of ciphertext that weren't taken yet.
    var ciphertextBytes: Int { isSpent ? 0 : ciphertext.readableBytes }

    /// Sets the expected amount of ciphertext, so that a new buffer, if needed, gets the right size immediately.
    func expectCiphertext(_ bytes: Int) {
        expected = min(bytes, Self.capacity)
    }

    /// Appends ciphertext from OpenSSL.
    func appendCiphertext(_ bytes: UnsafeRawBufferPointer) {
        if isSpent {
            ciphertext.clear(minimumCapacity: max(expected, bytes.count))
            isSpent = false
            expected = 0
        }
        ciphertext.writeBytes(bytes)
    }

    /// Returns the ciphertext, or `nil` if there is none. Must be called before other code on the event loop runs.
    func takeCiphertext() -> ByteBuffer? {
        guard !isSpent else { return nil }
        isSpent = true
        return ciphertext
    }
}

/// A plaintext write that waits for `flush` or the end of the handshake.
struct PendingTLSWrite {
    var buffer: ByteBuffer
    var promise: EventLoopPromise<Void>?
}

@available(*, unavailable)
extension TLSBuffers: Sendable {}
