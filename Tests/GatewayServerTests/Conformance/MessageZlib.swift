// SPDX-License-Identifier: Apache-2.0

import CZlib
import Support

/// A client's decompressor, directly with zlib (RFC 7692 §7.2.2).
final class MessageInflater {
    private let z = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let keepsContext: Bool

    init(windowBits: Int, keepsContext: Bool) {
        z.initialize(to: z_stream())
        parley_inflateInit2(z, -Int32(windowBits))
        self.keepsContext = keepsContext
    }

    deinit {
        inflateEnd(z)
        z.deallocate()
    }

    func inflate(_ message: [UInt8]) throws -> [UInt8] {
        defer { if !keepsContext { inflateReset(z) } }
        var result: [UInt8] = []
        // With a small output buffer, zlib needs its window for longer distances, so a distance beyond the negotiated window is detected.
        var space = [UInt8](repeating: 0, count: 256)
        try (message + [0x00, 0x00, 0xFF, 0xFF]).withUnsafeBufferPointer { input in
            z.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            z.pointee.avail_in = UInt32(input.count)
            repeat {
                let count = try space.withUnsafeMutableBufferPointer { output in
                    z.pointee.next_out = output.baseAddress
                    z.pointee.avail_out = UInt32(output.count)
                    let status = CZlib.inflate(z, Z_SYNC_FLUSH)
                    guard status == Z_OK || status == Z_BUF_ERROR else { throw TestFailure("inflate returned \(status)") }
                    return output.count - Int(z.pointee.avail_out)
                }
                result += space[..<count]
            } while z.pointee.avail_out == 0
            z.pointee.next_in = nil
            z.pointee.next_out = nil
        }
        return result
    }
}

/// A client's compressor, directly with zlib (RFC 7692 §7.2.1).
final class MessageDeflater {
    private let z = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let keepsContext: Bool

    /// - Parameter windowBits: 9–15; zlib can't create a raw stream with 8.
    init(windowBits: Int, keepsContext: Bool, level: Int32 = 6) {
        z.initialize(to: z_stream())
        parley_deflateInit2(z, level, -Int32(windowBits), 8)
        self.keepsContext = keepsContext
    }

    deinit {
        deflateEnd(z)
        z.deallocate()
    }

    func deflate(_ message: [UInt8]) throws -> [UInt8] {
        // An empty message is a zero byte (RFC 7692 §7.2.3.6).
        if message.isEmpty { return [0x00] }
        defer { if !keepsContext { deflateReset(z) } }
        var space = [UInt8](repeating: 0, count: Int(deflateBound(z, UInt(message.count))) + 16)
        try message.withUnsafeBufferPointer { input in
            try space.withUnsafeMutableBufferPointer { output in
                z.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                z.pointee.avail_in = UInt32(input.count)
                z.pointee.next_out = output.baseAddress
                z.pointee.avail_out = UInt32(output.count)
                guard CZlib.deflate(z, Z_SYNC_FLUSH) == Z_OK, z.pointee.avail_out > 0 else { throw TestFailure("deflate failed") }
                z.pointee.next_in = nil
                z.pointee.next_out = nil
            }
        }
        return space.dropLast(Int(z.pointee.avail_out) + 4)
    }
}
