// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import NIOCore
import Support
import Testing

/// Compares the reader with ``MessageReaderModel`` on generated frames, valid and invalid: unsplit, byte by byte, and split in two at every
/// position.
@Suite struct MessageReaderModelTests {
    private static let agreement = CompressionAgreement(serverNoContextTakeover: true, clientNoContextTakeover: true)
    private static let maxMessageBytes = 200
    private static let maxFragments = 6

    private func entries(_ pieces: [[UInt8]], isCompressing: Bool, shared: SharedDeflate) -> [Transcript.Entry] {
        var transcript = Transcript(
            maxMessageBytes: Self.maxMessageBytes, maxFragments: Self.maxFragments, compression: isCompressing ? Self.agreement : nil,
            shared: shared)
        for piece in pieces { transcript.feed(piece) }
        return transcript.entries
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `the reader and the model agree on generated frames, however they are split`(seed: UInt64) {
        var random = SplitMix64(state: seed &+ 300)
        let shared = SharedDeflate()
        var endings: [String: Int] = [:]
        for round in 0..<40 {
            let isCompressing = round % 2 == 0
            let frames = FrameGenerator.conversation(&random, isCompressing: isCompressing)
            var model = MessageReaderModel(
                maxMessageBytes: Self.maxMessageBytes, maxFragments: Self.maxFragments, isCompressing: isCompressing)
            model.read(frames)
            let expected = model.entries
            if case .error(let error)? = expected.last { endings["\(error)", default: 0] += 1 }
            let bytes = frames.flatMap(\.bytes)
            var splits = [[bytes], bytes.pieces(of: 1), bytes.pieces(upTo: 9, using: &random)]
            if round % 30 < 2 { splits += bytes.indices.map { [Array(bytes[..<$0]), Array(bytes[$0...])] } }
            for pieces in splits {
                let found = entries(pieces, isCompressing: isCompressing, shared: shared)
                #expect(found == expected, "\(pieces.map(\.count)) of \(bytes)")
            }
        }
        #expect(endings.count >= 7, "too few kinds of error: \(endings)")
    }

    @Test(arguments: [1, 125, 126, 65_535, 65_536], 0..<16)
    func `a header is parsed at any alignment`(count: Int, shift: Int) throws {
        let head = FrameBytes.head(0x82, count: UInt64(count))
        let bytes = [UInt8](repeating: 0xFF, count: shift) + head + [0xFF]
        let header = try #require(
            try FrameHeader.parse(bytes.span.bytes.extracting(shift..<bytes.count), role: .server, allowsCompression: false))
        #expect(header.payloadCount == count && header.byteCount == head.count)
        #expect(header.maskingKey?.keyBytes == FrameBytes.key)
    }
}

/// Generates sequences of messages and control frames, many of them invalid.
private enum FrameGenerator {
    private static let texts = ["", "a", "Grüße, 世界 😀", "plain text of some length, longer than sixteen bytes", "κόσμε", "\u{FFFF}\u{0}"]

    static func conversation(_ random: inout SplitMix64, isCompressing: Bool) -> [GeneratedFrame] {
        var frames: [GeneratedFrame] = []
        for _ in 0..<Int.random(in: 1...5, using: &random) {
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<7: frames += message(&random, isCompressing: isCompressing)
            case 7..<10: frames.append(control(&random))
            default: frames.append(invalidFrame(&random))
            }
        }
        if Bool.random(using: &random) { frames.append(close(&random)) }
        if Int.random(in: 0..<6, using: &random) == 0 {
            // Declares more bytes than it contains.
            let payload = payload(&random)
            frames.append(GeneratedFrame(first: 0x81, payload: payload, declaredLength: UInt64(payload.count + 3)))
        }
        return frames
    }

    private static func payload(_ random: inout SplitMix64) -> [UInt8] {
        var bytes = Array((texts.randomElement(using: &random) ?? "").utf8)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: bytes.insert(contentsOf: UTF8Samples.invalid.randomElement(using: &random) ?? [], at: bytes.count / 2)
        case 1: bytes += bytes + bytes + bytes
        default: break
        }
        return bytes
    }

    /// Returns a fragmented message with control frames between.
    private static func message(_ random: inout SplitMix64, isCompressing: Bool) -> [GeneratedFrame] {
        var bytes = payload(&random)
        var first: UInt8 = Bool.random(using: &random) ? 1 : 2
        if Int.random(in: 0..<(isCompressing ? 3 : 30), using: &random) == 0 {
            bytes = MessageReaderModel.stored(bytes)
            if Int.random(in: 0..<6, using: &random) == 0 { bytes[3] ^= 1 }
            first |= 0x40
        }
        var frames: [GeneratedFrame] = []
        var pieces = Bool.random(using: &random) ? [bytes] : bytes.pieces(upTo: max(bytes.count / 2, 1), using: &random)
        if Int.random(in: 0..<4, using: &random) == 0 || pieces.isEmpty { pieces.insert([], at: 0) }
        for (index, piece) in pieces.enumerated() {
            if index > 0, Int.random(in: 0..<3, using: &random) == 0 { frames.append(control(&random)) }
            let isLast = index == pieces.count - 1 && Int.random(in: 0..<20, using: &random) > 0
            frames.append(GeneratedFrame(first: (isLast ? 0x80 : 0) | (index == 0 ? first : 0), payload: piece))
        }
        return frames
    }

    private static func control(_ random: inout SplitMix64) -> GeneratedFrame {
        GeneratedFrame(
            first: Bool.random(using: &random) ? 0x89 : 0x8A, payload: .noise([0, 1, 8, 125].randomElement(using: &random) ?? 0, seed: 1))
    }

    private static func close(_ random: inout SplitMix64) -> GeneratedFrame {
        let payloads: [[UInt8]] = [
            [], [0x03], [0x03, 0xE8], [0x03, 0xE8, 0x61, 0xC3, 0xA9], [0x03, 0xED], [0x0F, 0xA0, 0xC3], [0x13, 0x87], [0x00, 0x00],
        ]
        return GeneratedFrame(first: 0x88, payload: payloads.randomElement(using: &random) ?? [])
    }

    /// Returns a frame that usually violates a rule.
    private static func invalidFrame(_ random: inout SplitMix64) -> GeneratedFrame {
        let payload = payload(&random)
        switch Int.random(in: 0..<9, using: &random) {
        case 0:
            let first = UInt8.random(in: 0...255, using: &random)
            // The model can inflate only stored blocks.
            return GeneratedFrame(first: [0x41, 0x42].contains(first & 0x4F) ? first & 0xBF : first, payload: payload)
        case 1: return GeneratedFrame(first: 0x81, payload: payload, isMasked: false)
        case 2: return GeneratedFrame(first: 0x82, payload: payload, lengthBytes: 2)
        case 3: return GeneratedFrame(first: 0x82, payload: payload, lengthBytes: 8)
        case 4: return GeneratedFrame(first: 0x80, payload: payload)
        case 5: return GeneratedFrame(first: 0x09, payload: [])
        case 6: return GeneratedFrame(first: 0x8A, payload: .noise(126, seed: 2))
        case 7: return GeneratedFrame(first: 0x82, payload: .noise(201, seed: 3))
        default: return GeneratedFrame(first: 0x01, payload: payload)
        }
    }
}
