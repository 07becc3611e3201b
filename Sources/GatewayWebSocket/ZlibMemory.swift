import CZlib

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Counts what a zlib stream allocates, and can refuse it.
///
/// zlib takes memory in pieces: the state at once, a window when it's first needed. Counting at the allocator is the only exact way.
struct ZlibMemory {
    /// Bytes allocated and not freed; zlib frees only when the stream ends.
    private(set) var bytes = 0
    /// Allocations that would go beyond are refused, as if there were no memory.
    let ceiling: Int

    init(ceiling: Int) {
        self.ceiling = ceiling
    }

    /// The allocator for `z_stream.zalloc`, with a `ZlibMemory` behind `opaque`.
    static let allocate: @convention(c) (UnsafeMutableRawPointer?, UInt32, UInt32) -> UnsafeMutableRawPointer? = { opaque, items, size in
        guard let memory = opaque?.assumingMemoryBound(to: ZlibMemory.self) else { return nil }
        let (count, overflow) = Int(items).multipliedReportingOverflow(by: Int(size))
        guard !overflow, count <= memory.pointee.ceiling &- memory.pointee.bytes, let block = malloc(count) else { return nil }
        memory.pointee.bytes &+= count
        return block
    }

    static let release: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = { _, block in
        free(block)
    }
}

/// A `z_stream` at an address that doesn't move, as zlib demands, and the memory behind it.
struct ZlibStream: ~Copyable {
    let pointer: UnsafeMutablePointer<z_stream>
    private let memory: UnsafeMutablePointer<ZlibMemory>
    private let end: (UnsafeMutablePointer<z_stream>) -> Void

    /// - Parameters:
    ///   - start: `deflateInit2` or `inflateInit2`; nil is returned when it doesn't answer `Z_OK`.
    ///   - end: the matching `deflateEnd` or `inflateEnd`.
    init?(
        memoryCeiling: Int, start: (UnsafeMutablePointer<z_stream>) -> Int32, end: @escaping (UnsafeMutablePointer<z_stream>) -> Void
    ) {
        let memory = UnsafeMutablePointer<ZlibMemory>.allocate(capacity: 1)
        memory.initialize(to: ZlibMemory(ceiling: memoryCeiling))
        let pointer = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        pointer.initialize(to: z_stream())
        pointer.pointee.zalloc = ZlibMemory.allocate
        pointer.pointee.zfree = ZlibMemory.release
        pointer.pointee.opaque = UnsafeMutableRawPointer(memory)
        guard start(pointer) == Z_OK else {
            pointer.deallocate()
            memory.deallocate()
            return nil
        }
        self.pointer = pointer
        self.memory = memory
        self.end = end
    }

    deinit {
        end(pointer)
        pointer.deallocate()
        memory.deallocate()
    }

    /// Bytes that zlib holds for this stream.
    var byteCount: Int { memory.pointee.bytes }
}
