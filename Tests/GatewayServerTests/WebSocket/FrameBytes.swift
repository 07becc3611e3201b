// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import NIOCore
import Support

/// Shorthands for manually assembled frames (``TestFrame``), so that the reader isn't tested against our own serializer.
enum FrameBytes {
    static let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    /// Returns a frame with any first byte, length encoding and mask.
    static func frame(_ first: UInt8, _ payload: [UInt8], masked: Bool = true, lengthBytes: Int? = nil) -> [UInt8] {
        built(first, payload, masked: masked, lengthBytes: lengthBytes).bytes
    }

    /// Returns a header without the payload that it declares.
    static func head(_ first: UInt8, count: UInt64, masked: Bool = true, lengthBytes: Int? = nil) -> [UInt8] {
        built(first, [], masked: masked, lengthBytes: lengthBytes).with { $0.declaredLength = count }.header
    }

    private static func built(_ first: UInt8, _ payload: [UInt8], masked: Bool, lengthBytes: Int?) -> TestFrame {
        TestFrame(first: first, payload).with {
            $0.mask = masked ? key : nil
            $0.lengthForm = lengthBytes == 2 ? .sixteenBits : lengthBytes == 8 ? .sixtyFourBits : .minimal
        }
    }

    static func mask(_ payload: [UInt8], phase: Int = 0) -> [UInt8] {
        payload.enumerated().map { $1 ^ key[($0 + phase) % 4] }
    }

    static func text(_ string: String, fin: Bool = true) -> [UInt8] { frame(fin ? 0x81 : 0x01, Array(string.utf8)) }
    static func binary(_ bytes: [UInt8], fin: Bool = true) -> [UInt8] { frame(fin ? 0x82 : 0x02, bytes) }
    static func continuation(_ bytes: [UInt8], fin: Bool) -> [UInt8] { frame(fin ? 0x80 : 0x00, bytes) }
    static func ping(_ bytes: [UInt8] = []) -> [UInt8] { frame(0x89, bytes) }
    static func pong(_ bytes: [UInt8] = []) -> [UInt8] { frame(0x8A, bytes) }
    static func close(_ code: UInt16, _ reason: [UInt8] = []) -> [UInt8] {
        frame(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }
}

extension Array where Element == UInt8 {
    /// Splits the bytes into pieces of a fixed size.
    func pieces(of size: Int) -> [[UInt8]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }

    /// Splits the bytes into pieces of 1 to `maximum` bytes.
    func pieces(upTo maximum: Int, using generator: inout SplitMix64) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var start = 0
        while start < count {
            let end = Swift.min(count, start + Int.random(in: 1...maximum, using: &generator))
            result.append(Array(self[start..<end]))
            start = end
        }
        return result
    }

    /// Returns pseudorandom bytes, the same in each run.
    static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SplitMix64(state: seed)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
}
