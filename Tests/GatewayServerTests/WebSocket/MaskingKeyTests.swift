// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import NIOCore
import Support
import Testing

@Suite struct MaskingKeyTests {
    private let key = MaskingKey(littleEndian: 0x3D21_FA37)

    @Test func `the RFC 6455 example is unmasked to Hello`() {
        var bytes: [UInt8] = [0x7F, 0x9F, 0x4D, 0x51, 0x58]
        bytes.withUnsafeMutableBytes { key.apply(to: $0, phase: 0) }
        #expect(bytes == Array("Hello".utf8))
    }

    @Test(arguments: 0..<16, 0...3)
    func `SIMD and bytewise unmasking agree for each length, alignment and phase`(offset: Int, phase: Int) {
        let source = [UInt8].noise(300, seed: 1)
        let masked = FrameBytes.mask(source, phase: phase)
        var wrong: [Int] = []
        for length in 0...300 {
            var bytes = [UInt8](repeating: 0xEE, count: offset) + source[..<length] + [0xEE]
            bytes.withUnsafeMutableBytes {
                key.apply(to: UnsafeMutableRawBufferPointer(rebasing: $0[offset..<offset + length]), phase: phase)
            }
            // The bytes around the payload are unchanged.
            if bytes != [UInt8](repeating: 0xEE, count: offset) + masked[..<length] + [0xEE] { wrong.append(length) }
        }
        #expect(wrong == [])
    }

    @Test func `the phase continues across pieces of any size`() {
        let source = [UInt8].noise(1000, seed: 7)
        var generator = SplitMix64(state: 1)
        for _ in 0..<50 {
            var result: [UInt8] = []
            for var piece in source.pieces(upTo: 90, using: &generator) {
                piece.withUnsafeMutableBytes { key.apply(to: $0, phase: result.count) }
                result += piece
            }
            #expect(result == FrameBytes.mask(source))
        }
    }

    @Test func `random keys differ`() {
        #expect(Set((0..<64).map { _ in MaskingKey.random().keyBytes }).count > 60)
    }
}

extension MaskingKey {
    /// Returns the key in wire order, found by masking zeros.
    var keyBytes: [UInt8] {
        var zeros: [UInt8] = [0, 0, 0, 0]
        zeros.withUnsafeMutableBytes { apply(to: $0, phase: 0) }
        return zeros
    }
}
