/// The bytes of one run: a few that steer, then those that are fed.
///
/// The memory is libFuzzer's and exactly as long as the input, so that the address sanitizer sees a read behind its end.
struct FuzzInput {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// The next byte; 0 when there is none.
    mutating func byte() -> UInt8 {
        guard let first = rest.first else { return 0 }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        return first
    }

    mutating func bool() -> Bool { byte() & 1 == 1 }

    mutating func choose<Value>(_ values: [Value]) -> Value { values[Int(byte()) % values.count] }

    /// How what follows is cut.
    mutating func split() -> Split { Split(seed: UInt16(byte()) << 8 | UInt16(byte())) }

    var count: Int { rest.count }

    var bytes: [UInt8] { Array(rest) }

    var string: String { String(decoding: rest, as: UTF8.self) }

    /// The bytes where they are.
    func withSpan<Result>(_ body: (RawSpan) -> Result) -> Result { body(rest.bytes) }

    /// Parts between bytes of one value.
    func parts(separator: UInt8, most: Int) -> [[UInt8]] {
        rest.split(separator: separator, maxSplits: most - 1, omittingEmptySubsequences: false).map { Array($0) }
    }

    /// Parts of a byte's length each, which stands in front of them; doubled for every `scale`.
    mutating func measured(scale: Int) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        while !rest.isEmpty {
            let count = min(Int(byte()) << scale, rest.count)
            parts.append(Array(rest.prefix(count)))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
        return parts
    }
}

/// A way to cut bytes into pieces: byte by byte, or of random sizes that are the same in each run.
struct Split {
    let seed: UInt16

    func pieces(of bytes: [UInt8]) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15
        // Mostly small, for what breaks at borders; the low bits of the seed say how small.
        let most = UInt64(1) << UInt64(seed & 7)
        var start = 0
        while start < bytes.count {
            state = (state ^ (state >> 29)) &* 0xBF58_476D_1CE4_E5B9 &+ 1
            let count = seed == 0 ? 1 : 1 + Int((state >> 33) % (most * 4))
            let end = min(bytes.count, start + count)
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        return pieces
    }
}
