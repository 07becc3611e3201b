package import NIOCore

/// The buffers that all TLS connections of one event loop share, so that an idle connection keeps none.
///
/// Make one for each event loop and hand it to every ``TLSHandler`` on it; it must never be seen by two loops. A buffer is filled, handed
/// on, and filled again: `ByteBuffer` copies on write, so whoever keeps a slice keeps its bytes, and while nobody does, nothing is allocated.
/// When somebody did, the next buffer is made as small as its content allows, so that a slow reader never holds 64 KiB for a few bytes.
package final class TLSBuffers {
    /// Bytes that a buffer begins with, and that one read or one write hands on at most (a little more for ciphertext).
    package static let capacity = 64 * 1024
    /// The most that one TLS record carries (RFC 8446 §5.1).
    static let recordSize = 16 * 1024
    /// What a record adds to its content: header, content type, tag, and in TLS 1.2 the explicit nonce.
    static let recordOverhead = 32

    /// What the socket is read into; empty while somebody has it.
    private var received = ByteBuffer()
    /// What was decrypted and goes up the pipeline.
    var plaintext: ByteBuffer
    /// Small writes on their way into one record. Never handed to anyone.
    var record: ByteBuffer
    /// Storage for waiting writes, lent to the handler that has some.
    var spareWrites: [PendingTLSWrite] = []

    /// What was encrypted and goes down the pipeline.
    private var ciphertext: ByteBuffer
    /// Whether the content of `ciphertext` is somebody else's already.
    private var isSpent = true
    private var expected = 0

    private let allocator: ByteBufferAllocator

    package init(allocator: ByteBufferAllocator = ByteBufferAllocator()) {
        self.allocator = allocator
        self.plaintext = allocator.buffer(capacity: Self.capacity)
        self.record = allocator.buffer(capacity: Self.recordSize)
        self.ciphertext = allocator.buffer(capacity: Self.capacity)
    }

    /// A buffer to read the socket into, which nobody else has. Its bytes are what they were: reading overwrites them.
    func takeReceived() -> ByteBuffer {
        var buffer = ByteBuffer()
        swap(&buffer, &received)
        if buffer.modifyIfUniquelyOwned({ $0.clear() }) != nil, buffer.capacity == Self.capacity { return buffer }
        return allocator.buffer(capacity: Self.capacity)
    }

    /// Takes back a buffer that was read to the end. The channel lets go of it a little later; who keeps it longer, keeps it.
    func giveBack(_ buffer: ByteBuffer) {
        if buffer.storageCapacity == Self.capacity { received = buffer }
    }

    /// Bytes of ciphertext that were made and not taken yet.
    var ciphertextBytes: Int { isSpent ? 0 : ciphertext.readableBytes }

    /// Tells how much ciphertext is about to come, so that a new buffer, if one is needed, is made at once and in the right size.
    func expectCiphertext(_ bytes: Int) {
        expected = min(bytes, Self.capacity)
    }

    /// Appends what OpenSSL wrote.
    func appendCiphertext(_ bytes: UnsafeRawBufferPointer) {
        if isSpent {
            ciphertext.clear(minimumCapacity: max(expected, bytes.count))
            isSpent = false
            expected = 0
        }
        ciphertext.writeBytes(bytes)
    }

    /// Gives away what was encrypted; `nil` when nothing was. Must be called before control goes to anyone else on the loop.
    func takeCiphertext() -> ByteBuffer? {
        guard !isSpent else { return nil }
        isSpent = true
        return ciphertext
    }
}

/// A plaintext write that waits for `flush`, or for the end of the handshake.
struct PendingTLSWrite {
    var buffer: ByteBuffer
    var promise: EventLoopPromise<Void>?
}

@available(*, unavailable)
extension TLSBuffers: Sendable {}
