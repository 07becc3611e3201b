/// Sixteen bytes looked at together.
typealias ByteBlock = SIMD16<UInt8>

/// One yes or no for each byte of a ``ByteBlock``.
typealias ByteLanes = SIMDMask<SIMD16<Int8>>

/// Comparisons with one value. They make a vector of it first: the comparisons of the standard library with a scalar, and those of
/// vectors wider than this, are compiled to a loop over lanes.
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

    /// Offset of the first byte in `start..<end` that is `first` or `second`; `end` when there is none.
    @inline(__always)
    func firstOffset(from start: Int, to end: Int, of first: UInt8, or second: UInt8, or third: UInt8) -> Int {
        var offset = start
        while end &- offset >= 16 {
            let block = block(at: offset)
            let found = BlockMask(block.equal(to: first) .| block.equal(to: second) .| block.equal(to: third))
            if !found.isEmpty { return offset &+ found.first }
            offset &+= 16
        }
        while offset < end {
            let byte = byte(at: offset)
            if byte == first || byte == second || byte == third { return offset }
            offset &+= 1
        }
        return end
    }
}

/// The lanes of a ``ByteBlock`` that met a condition. The first byte is in the lowest bits: little-endian machines, the only ones supported.
struct BlockMask {
    private let lanes: SIMD2<UInt64>

    @inline(__always)
    init(_ mask: ByteLanes) {
        // A mask is 16 bytes of all zeros or all ones, and so is this.
        lanes = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
    }

    @inline(__always)
    var isEmpty: Bool { lanes[0] | lanes[1] == 0 }

    /// Index of the first lane, 16 when there is none.
    @inline(__always)
    var first: Int {
        lanes[0] != 0 ? lanes[0].trailingZeroBitCount &>> 3 : 8 &+ lanes[1].trailingZeroBitCount &>> 3
    }

    /// How many of the lanes before `end` (0 to 16) are in it.
    @inline(__always)
    func count(before end: Int) -> Int {
        let low = end < 8 ? lanes[0] & ((1 &<< UInt64(truncatingIfNeeded: end &* 8)) &- 1) : lanes[0]
        let high = end < 16 ? lanes[1] & ((1 &<< UInt64(truncatingIfNeeded: max(0, end &- 8) &* 8)) &- 1) : lanes[1]
        return (low.nonzeroBitCount &+ high.nonzeroBitCount) &>> 3
    }
}
