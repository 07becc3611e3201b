// SPDX-License-Identifier: Apache-2.0

/// Sixteen bytes that are processed together.
typealias ByteBlock = SIMD16<UInt8>

/// A Boolean for each byte of a ``ByteBlock``.
typealias ByteLanes = SIMDMask<SIMD16<Int8>>

/// Comparisons of each byte with one value. The value is broadcast to a vector first, because the compiler turns the standard library's
/// comparisons with a scalar, and comparisons of wider vectors, into a loop over lanes.
extension SIMD where Self == ByteBlock {
    @inline(__always)
    func equal(to value: UInt8) -> ByteLanes { self .== ByteBlock(repeating: value) }

    @inline(__always)
    func below(_ value: UInt8) -> ByteLanes { self .< ByteBlock(repeating: value) }

    @inline(__always)
    func atLeast(_ value: UInt8) -> ByteLanes { self .>= ByteBlock(repeating: value) }
}

extension RawSpan {
    /// The 16 bytes from `offset`.
    @inline(__always)
    func block(at offset: Int) -> ByteBlock {
        // The load checks its bounds, and any bits make a vector of integers.
        unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: ByteBlock.self)
    }

    /// The 8 bytes from `offset`, the first in the lowest bits.
    @inline(__always)
    func word(at offset: Int) -> UInt64 {
        // As above.
        UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

/// The lanes of a ``ByteBlock`` that satisfy a condition. The first byte is in the lowest bits; only little-endian machines are supported.
struct BlockMask {
    private let lanes: SIMD2<UInt64>

    @inline(__always)
    init(_ mask: ByteLanes) {
        // Each lane of the mask is a byte of all zeros or all ones, so both types have 16 bytes.
        lanes = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
    }

    @inline(__always)
    var isEmpty: Bool { lanes[0] | lanes[1] == 0 }

    /// Index of the first lane from `start` (0–15) on, 16 when there is none.
    @inline(__always)
    func first(from start: Int) -> Int {
        let bits = UInt64(truncatingIfNeeded: start &* 8)
        if start < 8 {
            let low = lanes[0] & (.max &<< bits)
            return low != 0 ? low.trailingZeroBitCount &>> 3 : 8 &+ lanes[1].trailingZeroBitCount &>> 3
        }
        return 8 &+ (lanes[1] & (.max &<< (bits &- 64))).trailingZeroBitCount &>> 3
    }

    /// Index of the first lane, 16 when there is none.
    @inline(__always)
    var first: Int {
        lanes[0] != 0 ? lanes[0].trailingZeroBitCount &>> 3 : 8 &+ lanes[1].trailingZeroBitCount &>> 3
    }
}
