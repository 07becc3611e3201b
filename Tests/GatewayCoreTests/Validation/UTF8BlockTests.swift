// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Validation in whole blocks: each character and each fault occurs at each lane of a block, across the boundary of two blocks, and at each
/// alignment.
@Suite struct UTF8BlockTests {
    private static let characters: [[UInt8]] =
        [0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x40000, 0x10FFFF].map { (value: UInt32) in
            Array(String(Character(Unicode.Scalar(value) ?? "a")).utf8)
        }
    private static let faults: [[UInt8]] = [
        [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2, 0x41], [0xC3, 0xA9, 0xA9], [0xE0, 0x9F, 0xBF], [0xE2, 0x82, 0x41],
        [0xE2, 0x82, 0xAC, 0x80], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x9F, 0x98, 0x41],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
    ]

    private func accepts(_ bytes: [UInt8], from start: Int, cutAt cut: Int? = nil) -> Bool {
        var validator = UTF8Validator()
        let span = bytes.span.bytes
        guard let cut else { return validator.accept(span.extracting(start..<bytes.count)) && validator.isComplete }
        return validator.accept(span.extracting(start..<cut)) && validator.accept(span.extracting(cut..<bytes.count))
            && validator.isComplete
    }

    @Test(arguments: 0..<16)
    func `texts of each length up to 300 are accepted at each alignment, and rejected with one byte too many`(shift: Int) {
        let before = [UInt8](repeating: 0xFF, count: shift)
        // Characters of each length, so that block boundaries fall on each of their bytes.
        let fills = ["a", "é", "€", "😀", "aé€😀"].map { Array($0.utf8) }
        var wrong: [Int] = []
        for length in 0...300 {
            let fill = fills[length % fills.count]
            let content =
                Array(repeatElement(fill, count: length / fill.count).joined()) + [UInt8](repeating: 0x2E, count: length % fill.count)
            if !accepts(before + content, from: shift) || accepts(before + content + [0x80], from: shift) { wrong.append(length) }
        }
        #expect(wrong == [])
    }

    @Test(arguments: ["a", "é", "€", "😀"])
    func `each character is accepted and each fault detected at each offset`(fill: String) {
        let fill = Array(fill.utf8)
        var wrong: [[UInt8]] = []
        for offset in 0..<84 {
            let shift = offset * 5 % 16
            // Padded with ASCII, so that the piece begins at each offset.
            let text =
                [UInt8](repeating: 0xFF, count: shift) + [UInt8](repeating: 0x61, count: offset % fill.count)
                + Array(repeatElement(fill, count: offset / fill.count).joined())
            let after = Array(repeatElement(fill, count: 20).joined())
            for piece in Self.characters where !accepts(text + piece + after, from: shift) { wrong.append(text + piece) }
            for piece in Self.faults where accepts(text + piece + after, from: shift) { wrong.append(text + piece) }
        }
        #expect(wrong == [])
    }

    @Test func `a chunk boundary inside a character or a fault doesn't change the result`() {
        var wrong: [[UInt8]] = []
        let fill = Array("é€".utf8)
        for offset in 0..<24 {
            let text = [UInt8](repeating: 0x61, count: offset) + fill + fill
            for (pieces, isText) in [(Self.characters, true), (Self.faults, false)] {
                for piece in pieces {
                    let bytes = text + piece + fill + fill + fill + fill
                    for cut in text.count...text.count + piece.count where accepts(bytes, from: 0, cutAt: cut) != isText {
                        wrong.append(bytes)
                    }
                }
            }
        }
        #expect(wrong == [])
    }
}
