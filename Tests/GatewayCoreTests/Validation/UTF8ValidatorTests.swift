// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct UTF8ValidatorTests {
    private func accepts(_ pieces: [[UInt8]]) -> Bool {
        var validator = UTF8Validator()
        for piece in pieces {
            guard validator.accept(piece.span.bytes) else { return false }
        }
        return validator.isComplete
    }

    private func pieces(of bytes: [UInt8], _ size: Int) -> [[UInt8]] {
        stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
    }

    /// Returns the number of bytes after which the validator rejects; nil if it doesn't.
    private func rejection(_ bytes: [UInt8]) -> Int? {
        var validator = UTF8Validator()
        for (index, byte) in bytes.enumerated() where !validator.accept([byte].span.bytes) { return index + 1 }
        return nil
    }

    @Test func `all scalar values are accepted, at once and byte by byte`() {
        var all: [UInt8] = []
        var some: [UInt8] = []
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value), let encoded = UTF8.encode(scalar) else { continue }
            all += encoded
            if value % 97 == 0 { some += encoded }
        }
        #expect(accepts([all]))
        #expect(accepts(pieces(of: all, 67)))
        #expect(accepts(pieces(of: some, 1)))
    }

    @Test func `all two-byte sequences are validated as by the standard library`() {
        var mismatches: [[UInt8]] = []
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let bytes = [0x41, first, second, 0x41, 0x41, 0x41, 0x41, 0x41]
                let valid = String(validating: bytes, as: UTF8.self) != nil
                if accepts([bytes]) != valid || accepts(pieces(of: bytes, 1)) != valid { mismatches.append(bytes) }
            }
        }
        #expect(mismatches == [])
    }

    @Test(arguments: 0..<40)
    func `random bytes that resemble UTF-8 are validated as by the standard library`(seed: UInt64) {
        var generator = SplitMix64(state: seed)
        var mismatches: [[UInt8]] = []
        let interesting: [UInt8] = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1,
            0xF3, 0xF4, 0xF5, 0xFF,
        ]
        for _ in 0..<500 {
            let few = (0..<Int.random(in: 1...12, using: &generator)).map { _ in interesting.randomElement(using: &generator) ?? 0 }
            // At each offset of a block of sixteen, and of the adjacent blocks.
            let fill = Array((["a", "é", "€", "😀"].randomElement(using: &generator) ?? "a").utf8)
            let before = Array(repeatElement(fill, count: Int.random(in: 0...40, using: &generator)).joined())
            let after = Array(repeatElement(fill, count: Int.random(in: 0...40, using: &generator)).joined())
            let bytes = before + few + after
            let valid = String(validating: bytes, as: UTF8.self) != nil
            let size = Int.random(in: 1...40, using: &generator)
            if accepts([bytes]) != valid || accepts(pieces(of: bytes, size)) != valid { mismatches.append(bytes) }
        }
        #expect(mismatches == [])
    }

    @Test(arguments: [0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 200])
    func `an invalid byte is detected after any run of ASCII`(run: Int) {
        let ascii = [UInt8](repeating: 0x61, count: run)
        #expect(accepts([ascii]))
        for tail in 0...70 {
            #expect(!accepts([ascii + [0xFF] + [UInt8](repeating: 0x62, count: tail)]))
            #expect(accepts([ascii + [0xC3, 0xA9] + [UInt8](repeating: 0x62, count: tail)]))
        }
    }

    @Test(
        arguments: [
            ([0xC0], 1), ([0xC1], 1), ([0xF5], 1), ([0xFF], 1), ([0x80], 1),
            ([0xE0, 0x9F], 2), ([0xED, 0xA0], 2), ([0xF0, 0x8F], 2), ([0xF4, 0x90], 2),
            ([0xE2, 0x82, 0x28], 3), ([0xF0, 0x9F, 0x98, 0x28], 4), ([0xCE, 0xCE], 2),
        ] as [([UInt8], Int)])
    func `the first invalid byte is rejected before the character is complete`(bytes: [UInt8], after: Int) {
        #expect(rejection(bytes) == after)
    }

    @Test(arguments: [[0xC3], [0xE2], [0xE2, 0x82], [0xF0], [0xF0, 0x9F], [0xF0, 0x9F, 0x98]] as [[UInt8]])
    func `a truncated character is accepted, but incomplete`(bytes: [UInt8]) {
        #expect(rejection(bytes) == nil)
        #expect(!accepts([bytes]))
    }

    @Test(
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x41], [0xC2, 0xC2], [0xDF, 0xC0], [0xE0, 0x80, 0x80],
            [0xE0, 0x9F, 0xBF],
            [0xE0, 0xA0], [0xE1, 0x80], [0xE2, 0x82, 0x41], [0xE2, 0x28, 0xA1], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xEF, 0xBF],
            [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x90, 0x80], [0xF0, 0x9F, 0x98, 0x41], [0xF1, 0x80, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC], [0xFE], [0xFF], [0xC3, 0xA9, 0xA9],
            [0xE2, 0x82, 0xAC, 0x80], [0xF0, 0x9F, 0x98, 0x80, 0x80],
        ] as [[UInt8]])
    func `invalid UTF-8 is rejected at each offset of a text, and valid text is accepted`(bad: [UInt8]) {
        for fill in [Array("a".utf8), Array("é".utf8), Array("€".utf8), Array("😀".utf8)] {
            for before in 0..<20 {
                for after in [0, 1, 2, 15, 16, 17, 40] {
                    let content =
                        Array(repeatElement(fill, count: before).joined()) + bad + Array(repeatElement(fill, count: after).joined())
                    #expect(!accepts([content]), "\(before) before, \(after) after")
                }
                let valid = Array(repeatElement(fill, count: before).joined())
                #expect(accepts([valid]))
            }
        }
    }
}
