package import NIOCore

/// Lets a channel read the socket into the buffer of its loop, so that a connection keeps none of its own.
///
/// NIO's own allocators leave each channel the buffer of its last read, which only ever grows: 2 KiB for who said nothing, 64 KiB for who
/// said much, once. Here a channel keeps ``firstRead`` bytes, and what is read lies in memory that is still in the cache from the connection
/// before. A channel with this allocator must have ``TLSHandler`` as its first handler, which gives the buffer back, and
/// `maxMessagesPerRead` 1: NIO keeps as many buffers.
///
/// Unchecked, since a channel asks its allocator on its event loop only, and the buffers are that loop's.
package struct ReceiveAllocator: RecvByteBufferAllocator, @unchecked Sendable {
    /// Bytes of the first read, whose buffer the channel keeps. Enough to tell TLS from plain HTTP, and the rest is read in the next go of the loop.
    static let firstRead = 64

    private let buffers: TLSBuffers
    private var hasRead = false

    /// `buffers` are those of the event loop that the channel runs on.
    package init(buffers: TLSBuffers) { self.buffers = buffers }

    package func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        hasRead ? buffers.takeReceived() : allocator.buffer(capacity: Self.firstRead)
    }

    /// Always true: asks NIO not to read into the buffer that it kept, but to get a new one.
    package mutating func record(actualReadBytes: Int) -> Bool {
        hasRead = true
        return true
    }
}
