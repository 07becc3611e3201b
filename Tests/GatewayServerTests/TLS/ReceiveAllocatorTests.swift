import NIOCore
import Testing

@testable import GatewayTLS

@Suite struct ReceiveAllocatorTests {
    private let buffers = TLSBuffers()
    private let system = ByteBufferAllocator()

    private func address(_ buffer: ByteBuffer) -> UnsafeRawPointer? { buffer.withVeryUnsafeBytes { $0.baseAddress } }

    /// As a channel does it: get a buffer, read into it, hand it on.
    private func read(_ count: Int, by allocator: inout ReceiveAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(allocator: system)
        buffer.writeRepeatingByte(7, count: min(count, buffer.writableBytes))
        let asksForNew = allocator.record(actualReadBytes: buffer.readableBytes)
        #expect(asksForNew)
        return buffer
    }

    @Test func `a channel keeps a small buffer and reads into the loop's from then on`() {
        var allocator = ReceiveAllocator(buffers: buffers)
        let first = read(1000, by: &allocator)
        #expect(first.storageCapacity == ReceiveAllocator.firstRead)
        buffers.giveBack(first)
        #expect(read(1000, by: &allocator).storageCapacity == TLSBuffers.capacity)
    }

    @Test func `connections take turns with one buffer`() {
        var one = ReceiveAllocator(buffers: buffers)
        var other = ReceiveAllocator(buffers: buffers)
        _ = (read(1, by: &one), read(1, by: &other))
        var buffer = read(100, by: &one)
        let place = address(buffer)
        buffers.giveBack(buffer)
        buffer = ByteBuffer()
        for size in [1, 65_536, 3] {
            buffer = read(size, by: &other)
            #expect(address(buffer) == place)
            #expect(buffer.readableBytes == size)
            buffers.giveBack(buffer)
            buffer = ByteBuffer()
        }
    }

    @Test func `bytes that somebody keeps aren't read over`() {
        var allocator = ReceiveAllocator(buffers: buffers)
        _ = read(1, by: &allocator)
        let kept = read(16, by: &allocator)
        buffers.giveBack(kept)
        let next = read(32, by: &allocator)
        #expect(address(next) != address(kept))
        #expect(kept == ByteBuffer(repeating: 7, count: 16))
        // Nor is a buffer that never came back.
        #expect(address(read(8, by: &allocator)) != address(next))
    }

    @Test func `what isn't the loop's isn't taken for it`() {
        var allocator = ReceiveAllocator(buffers: buffers)
        _ = read(1, by: &allocator)
        buffers.giveBack(system.buffer(capacity: 512))
        buffers.giveBack(system.buffer(capacity: 2 * TLSBuffers.capacity))
        #expect(read(1, by: &allocator).storageCapacity == TLSBuffers.capacity)
    }
}
