// SPDX-License-Identifier: Apache-2.0

/// The 32 bits with which a client's payload is XORed (RFC 6455 §5.3).
package struct MaskingKey: Sendable, Equatable {
    /// The four bytes in wire order, the first in the lowest bits.
    let littleEndian: UInt32

    /// - Parameter littleEndian: the four bytes in wire order, the first in the lowest bits.
    package init(littleEndian: UInt32) {
        self.littleEndian = littleEndian
    }

    /// Returns a new key from the system's random number generator: RFC 6455 §5.3 requires an unpredictable key.
    package static func random() -> MaskingKey {
        var generator = SystemRandomNumberGenerator()
        return MaskingKey(littleEndian: generator.next())
    }

    /// Masks or unmasks in place, which is the same operation.
    ///
    /// - Parameters:
    ///   - bytes: any alignment, any length.
    ///   - phase: the offset of `bytes` in the payload; only its remainder by 4 matters.
    package func apply(to bytes: UnsafeMutableRawBufferPointer, phase: Int) {
        guard let base = bytes.baseAddress else { return }
        let shift = UInt32(truncatingIfNeeded: phase & 3) &* 8
        // In Swift, shifts by the type's width or more give 0, so phase 0 needs no special case.
        let key = (littleEndian >> shift) | (littleEndian << (32 - shift))
        let count = bytes.count
        var offset = 0
        let wide = SIMD16<UInt32>(repeating: key.littleEndian)
        while count &- offset >= 64 {
            let block = base.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt32>.self) ^ wide
            base.storeBytes(of: block, toByteOffset: offset, as: SIMD16<UInt32>.self)
            offset &+= 64
        }
        let double = (UInt64(key) << 32 | UInt64(key)).littleEndian
        while count &- offset >= 8 {
            let word = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ double
            base.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        var rest = double.littleEndian
        while offset < count {
            let byte = base.load(fromByteOffset: offset, as: UInt8.self) ^ UInt8(truncatingIfNeeded: rest)
            base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            rest >>= 8
            offset &+= 1
        }
    }
}
