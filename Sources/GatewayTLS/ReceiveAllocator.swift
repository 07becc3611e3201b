// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// An allocator that makes a channel read into its event loop's shared buffer, so that a connection keeps no read buffer.
///
/// With NIO's allocators, each channel keeps the buffer of its last read, which only grows: 2 KiB for a client that sent nothing, 64 KiB
/// after one large message. With this allocator, a channel keeps ``firstRead`` bytes, and the shared buffer is still in the CPU cache from
/// the previous connection. The channel's first handler must be ``TLSHandler``, which returns the buffer, and `maxMessagesPerRead` must be
/// 1: NIO keeps that many buffers.
///
/// `@unchecked Sendable`, because a channel uses its allocator only on its event loop, which owns the buffers.
package struct ReceiveAllocator: RecvByteBufferAllocator, @unchecked Sendable {
    /// The size of the first read, whose buffer the channel keeps, in bytes. Enough to distinguish TLS from plain HTTP; the next read gets
    /// the rest.
    static let firstRead = 64

    private let buffers: TLSBuffers
    private var hasRead = false

    /// - Parameter buffers: the buffers of the channel's event loop
    package init(buffers: TLSBuffers) { self.buffers = buffers }

    package func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        hasRead ? buffers.takeReceived() : allocator.buffer(capacity: Self.firstRead)
    }

    /// Always returns true, so that NIO requests a buffer for each read instead of reusing the one it kept.
    package mutating func record(actualReadBytes: Int) -> Bool {
        hasRead = true
        return true
    }
}
