// SPDX-License-Identifier: Apache-2.0

/// The bytes of one run: a few that select options, then those that are fed to the target.
///
/// The memory is libFuzzer's and exactly as long as the input, so that the address sanitizer detects reads past its end.
struct FuzzInput {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// Consumes the next byte; 0 if there is none.
    mutating func byte() -> UInt8 {
        guard let first = rest.first else { return 0 }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        return first
    }

    mutating func bool() -> Bool { byte() & 1 == 1 }

    mutating func choose<Value>(_ values: [Value]) -> Value { values[Int(byte()) % values.count] }

    /// Consumes the seed for splitting the remaining bytes.
    mutating func split() -> Split { Split(seed: UInt16(byte()) << 8 | UInt16(byte())) }

    var count: Int { rest.count }

    var bytes: [UInt8] { Array(rest) }

    var string: String { String(decoding: rest, as: UTF8.self) }

    /// Calls `body` with the remaining bytes, without copying them.
    func withSpan<Result>(_ body: (RawSpan) -> Result) -> Result { body(rest.bytes) }

    /// Returns the parts between bytes of this value; the last contains everything from part `maxCount` on.
    func parts(separator: UInt8, maxCount: Int) -> [[UInt8]] {
        rest.split(separator: separator, maxSplits: maxCount - 1, omittingEmptySubsequences: false).map { Array($0) }
    }

    /// Consumes parts that each follow a byte with their length, which is shifted left by `scale`.
    mutating func lengthPrefixed(scale: Int) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        while !rest.isEmpty {
            let count = min(Int(byte()) << scale, rest.count)
            parts.append(Array(rest.prefix(count)))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
        return parts
    }
}

/// A way to split bytes into pieces: single bytes for seed 0, otherwise reproducible pseudorandom sizes.
struct Split {
    let seed: UInt16

    func pieces(of bytes: [UInt8]) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15
        // Mostly small sizes, which put boundaries everywhere; the low bits of the seed set the scale.
        let scale = UInt64(1) << UInt64(seed & 7)
        var start = 0
        while start < bytes.count {
            state = (state ^ (state >> 29)) &* 0xBF58_476D_1CE4_E5B9 &+ 1
            let count = seed == 0 ? 1 : 1 + Int((state >> 33) % (scale * 4))
            let end = min(bytes.count, start + count)
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        return pieces
    }
}
