// SPDX-License-Identifier: Apache-2.0

/// Energy and peak of 16-bit samples, eight at a time, in integer arithmetic: exactly equal to the scalar computation.
struct SampleBlocks {
    typealias Block = SIMD8<Int16>

    /// The sums of the lower and upper halves of the squares, separate so that no 32-bit sum overflows before 65,536 blocks.
    private var lower = SIMD4<UInt32>(repeating: 0)
    private var upper = SIMD4<UInt32>(repeating: 0)
    /// For each lane: the largest positive sample (``rise``), the largest magnitude minus one of the negative samples (``fall``), and
    /// whether there were negative samples.
    private var rise = Block(repeating: 0)
    private var fall = Block(repeating: 0)
    private var negative = Block(repeating: 0)

    @inline(__always)
    mutating func add(_ block: Block) {
        // Each 32-bit lane has two samples. The compiler multiplies values produced by these shifts with one instruction.
        let pairs = unsafe unsafeBitCast(block, to: SIMD4<Int32>.self)
        let even = (pairs &<< 16) &>> 16
        let odd = pairs &>> 16
        let squares = unsafe unsafeBitCast(even &* even &+ odd &* odd, to: SIMD4<UInt32>.self)
        lower &+= squares & SIMD4(repeating: 0xFFFF)
        upper &+= squares &>> 16
        // All ones for negative samples, for which `block ^ sign` is the magnitude minus one, which never overflows.
        let sign = block &>> 15
        negative |= sign
        let magnitude = block ^ sign
        rise = Self.larger(rise, magnitude &- (magnitude & sign))
        fall = Self.larger(fall, magnitude & sign)
    }

    /// The sum of the squares.
    var energy: UInt64 {
        (0..<4).reduce(0) { $0 &+ UInt64(lower[$1]) &+ UInt64(upper[$1]) &<< 16 }
    }

    /// The largest magnitude, 0...32768.
    var peak: Int32 { max(Int32(rise.max()), negative.min() < 0 ? Int32(fall.max()) + 1 : 0) }

    /// Returns the larger values of two blocks without negative values. A comparison would be compiled to a loop over lanes.
    @inline(__always)
    private static func larger(_ one: Block, _ other: Block) -> Block {
        let difference = other &- one
        return other &- (difference & (difference &>> 15))
    }
}
