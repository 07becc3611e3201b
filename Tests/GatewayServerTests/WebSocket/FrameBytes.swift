import GatewayWebSocket
import NIOCore

/// Frames put together by hand, so that the reader is tested against bytes and not against our serializer.
enum FrameBytes {
    static let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    /// One frame with any first byte, any kind of length and any mask.
    static func frame(_ first: UInt8, _ payload: [UInt8], masked: Bool = true, lengthBytes: Int? = nil) -> [UInt8] {
        head(first, count: UInt64(payload.count), masked: masked, lengthBytes: lengthBytes) + (masked ? mask(payload) : payload)
    }

    /// A header that announces a payload.
    static func head(_ first: UInt8, count: UInt64, masked: Bool = true, lengthBytes: Int? = nil) -> [UInt8] {
        let mark: UInt8 = masked ? 0x80 : 0
        var bytes: [UInt8] = [first]
        switch lengthBytes ?? (count <= 125 ? 0 : count <= 0xFFFF ? 2 : 8) {
        case 0: bytes.append(mark | UInt8(count))
        case 2: bytes += [mark | 126, UInt8(count >> 8), UInt8(count & 0xFF)]
        default: bytes += [mark | 127] + (0..<8).map { UInt8(truncatingIfNeeded: count >> UInt64(56 - 8 * $0)) }
        }
        return masked ? bytes + key : bytes
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

/// A generator whose numbers are the same in each run.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension Array where Element == UInt8 {
    /// The same bytes in pieces of a fixed size.
    func pieces(of size: Int) -> [[UInt8]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }

    /// The same bytes in pieces of 1 to `most` bytes.
    func pieces(upTo most: Int, using generator: inout SplitMix64) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var start = 0
        while start < count {
            let end = Swift.min(count, start + Int.random(in: 1...most, using: &generator))
            result.append(Array(self[start..<end]))
            start = end
        }
        return result
    }

    /// Bytes without order, the same in each run.
    static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SplitMix64(state: seed)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
}
