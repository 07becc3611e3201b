/// Energy and peak of 16-bit samples, eight at a time, in whole numbers: exactly what one at a time comes to.
struct SampleBlocks {
    typealias Block = SIMD8<Int16>

    /// Sums of the lower and the upper halves of squares: so no sum overflows its 32 bits before 65,536 blocks.
    private var lower = SIMD4<UInt32>(repeating: 0)
    private var upper = SIMD4<UInt32>(repeating: 0)
    /// The largest positive sample of each lane, the largest magnitude less one of the negative ones, and whether there were any.
    private var rise = Block(repeating: 0)
    private var fall = Block(repeating: 0)
    private var negative = Block(repeating: 0)

    @inline(__always)
    mutating func add(_ block: Block) {
        // Two samples lie in each lane of 32 bits. Products of numbers that came by these shifts are one instruction for all of them.
        let pairs = unsafe unsafeBitCast(block, to: SIMD4<Int32>.self)
        let even = (pairs &<< 16) &>> 16
        let odd = pairs &>> 16
        let squares = unsafe unsafeBitCast(even &* even &+ odd &* odd, to: SIMD4<UInt32>.self)
        lower &+= squares & SIMD4(repeating: 0xFFFF)
        upper &+= squares &>> 16
        // All ones where the sample is negative; what is one less than its magnitude lies in the other bits then, and never overflows.
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

    /// Of numbers that aren't negative. A comparison would be compiled to a loop over lanes.
    @inline(__always)
    private static func larger(_ one: Block, _ other: Block) -> Block {
        let difference = other &- one
        return other &- (difference & (difference &>> 15))
    }
}
