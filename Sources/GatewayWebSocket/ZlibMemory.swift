// SPDX-License-Identifier: Apache-2.0

import CZlib

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The allocator of a zlib stream, which counts and limits its allocations.
///
/// zlib allocates a stream's state at once but the window only when it is first needed, so only counting in the allocator is exact.
struct ZlibMemory {
    /// The allocated bytes; zlib frees memory only when the stream ends.
    private(set) var bytes = 0
    /// The limit in bytes. Allocations beyond fail as if out of memory.
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

/// A `z_stream` at a fixed address, as zlib requires, with its allocator.
struct ZlibStream: ~Copyable {
    let pointer: UnsafeMutablePointer<z_stream>
    private let memory: UnsafeMutablePointer<ZlibMemory>
    private let end: (UnsafeMutablePointer<z_stream>) -> Void

    /// - Parameters:
    ///   - start: `deflateInit2` or `inflateInit2`; the initializer returns nil unless the result is `Z_OK`.
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

    /// The bytes that zlib has allocated for this stream.
    var byteCount: Int { memory.pointee.bytes }
}
