// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import GatewayTLS

@Suite struct ReceiveAllocatorTests {
    private let buffers = TLSBuffers()
    private let system = ByteBufferAllocator()

    private func address(_ buffer: ByteBuffer) -> UnsafeRawPointer? { buffer.withVeryUnsafeBytes { $0.baseAddress } }

    /// Reads as a channel does: gets a buffer, writes to it, and passes it on.
    private func read(_ count: Int, by allocator: inout ReceiveAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(allocator: system)
        buffer.writeRepeatingByte(7, count: min(count, buffer.writableBytes))
        let requestsNewBuffer = allocator.record(actualReadBytes: buffer.readableBytes)
        #expect(requestsNewBuffer)
        return buffer
    }

    @Test func `a channel keeps a small buffer and then reads into the event loop's buffer`() {
        var allocator = ReceiveAllocator(buffers: buffers)
        let first = read(1000, by: &allocator)
        #expect(first.storageCapacity == ReceiveAllocator.firstRead)
        buffers.recycle(first)
        #expect(read(1000, by: &allocator).storageCapacity == TLSBuffers.capacity)
    }

    @Test func `connections reuse one buffer`() {
        var one = ReceiveAllocator(buffers: buffers)
        var other = ReceiveAllocator(buffers: buffers)
        _ = (read(1, by: &one), read(1, by: &other))
        var buffer = read(100, by: &one)
        let expected = address(buffer)
        buffers.recycle(buffer)
        buffer = ByteBuffer()
        for size in [1, 65_536, 3] {
            buffer = read(size, by: &other)
            #expect(address(buffer) == expected)
            #expect(buffer.readableBytes == size)
            buffers.recycle(buffer)
            buffer = ByteBuffer()
        }
    }

    @Test func `a buffer that is still referenced isn't overwritten`() {
        var allocator = ReceiveAllocator(buffers: buffers)
        _ = read(1, by: &allocator)
        let kept = read(16, by: &allocator)
        buffers.recycle(kept)
        let next = read(32, by: &allocator)
        #expect(address(next) != address(kept))
        #expect(kept == ByteBuffer(repeating: 7, count: 16))
        // Nor is a buffer that was never returned.
        #expect(address(read(8, by: &allocator)) != address(next))
    }

    @Test func `buffers of other sizes aren't reused`() {
        var allocator = ReceiveAllocator(buffers: buffers)
        _ = read(1, by: &allocator)
        buffers.recycle(system.buffer(capacity: 512))
        buffers.recycle(system.buffer(capacity: 2 * TLSBuffers.capacity))
        #expect(read(1, by: &allocator).storageCapacity == TLSBuffers.capacity)
    }
}
