// SPDX-License-Identifier: Apache-2.0

/// An incremental parser for WAV files. Emits the format, then the samples, converted for clients.
///
/// The length in the header is only an upper bound: a server that streams doesn't know the length, and writes 0, 0x7FFFFFFF, 0xFFFFFFFF,
/// 2000000000 or another placeholder. The end of the body ends the audio. Chunks of any length before the samples are skipped. Concatenated
/// files, such as those of a server that synthesizes sentence by sentence, are one stream: a header is recognized within the samples, too.
///
/// Buffers fewer than 64 bytes.
package struct WAVStream: Sendable {
    package enum Piece: Sendable, Hashable {
        /// The format of the samples that follow; repeated only when it changes.
        case format(AudioFormat)
        /// Whole frames (a sample of each channel).
        case samples([UInt8])
    }

    private enum State: Sendable {
        case riff
        case chunk
        case format(size: Int)
        case skip(Int)
        /// Nil for an unknown number of bytes.
        case samples(left: Int?)
        /// After the samples: everything up to the next file is skipped.
        case trailer
    }

    /// The number of bytes of a `fmt ` chunk that are parsed: the size of `WAVE_FORMAT_EXTENSIBLE`.
    private static let formatBytes = 40

    package private(set) var format: AudioFormat?
    private var state = State.riff
    private var encoding: WAVEncoding?
    /// Bytes that aren't parsed yet: a partial header, or samples that may be the header of another file.
    private var held: [UInt8] = []
    private var partialFrame: [UInt8] = []

    package init() {}

    package mutating func receive(_ bytes: RawSpan, _ onPiece: (Piece) -> Void) throws(ResponseFault) {
        var input = held
        held = []
        input.append(bytesOf: bytes)
        var offset = 0
        while try step(input, &offset, onPiece) {}
        held = Array(input[offset...])
    }

    /// Ends the body; a partial frame at its end is dropped.
    package mutating func finish(_ onPiece: (Piece) -> Void) {
        if case .samples(let left) = state { emit(held.prefix(left ?? held.count), onPiece) }
        (held, partialFrame, state) = ([], [], .trailer)
    }

    /// Performs one parsing step at `offset`.
    ///
    /// - Returns: false when more bytes are needed
    private mutating func step(_ input: [UInt8], _ offset: inout Int, _ onPiece: (Piece) -> Void) throws(ResponseFault) -> Bool {
        let count = input.count - offset
        switch state {
        case .riff:
            guard count >= WAVSignature.count else { return false }
            guard WAVSignature.matches(input, at: offset) == .whole else { throw ResponseFault("the audio isn't a WAV file") }
            beginFile(&offset)
        case .chunk:
            guard count >= 8 else { return false }
            try beginChunk(input, at: offset, onPiece)
            offset += 8
        case .format(let size):
            let needed = min(size, Self.formatBytes)
            guard count >= needed else { return false }
            encoding = try WAVEncoding(input[offset..<offset + needed])
            offset += needed
            state = .skip(size + size % 2 - needed)
        case .skip(let left):
            let skipped = min(left, count)
            offset += skipped
            state = left == skipped ? .chunk : .skip(left - skipped)
            return left == skipped
        case .samples(let left):
            let end = offset + min(left ?? count, count)
            let next = WAVSignature.first(in: input, from: offset, to: end)
            let stop = next?.offset ?? end
            emit(input[offset..<stop], onPiece)
            let rest = left.map { $0 - (stop - offset) }
            offset = stop
            state = .samples(left: rest)
            if next?.isWhole == true {
                beginFile(&offset)
            } else if rest == 0 {
                partialFrame = []
                state = .trailer
            } else {
                return false
            }
        case .trailer:
            let next = WAVSignature.first(in: input, from: offset, to: input.count)
            offset = next?.offset ?? input.count
            guard next?.isWhole == true else { return false }
            beginFile(&offset)
        }
        return true
    }

    private mutating func beginFile(_ offset: inout Int) {
        offset += WAVSignature.count
        (state, encoding, partialFrame) = (.chunk, nil, [])
    }

    /// Begins a chunk.
    ///
    /// - Parameter offset: the offset of the complete chunk header: id and length
    private mutating func beginChunk(_ input: [UInt8], at offset: Int, _ onPiece: (Piece) -> Void) throws(ResponseFault) {
        let size = input.littleEndian(at: offset + 4, bytes: 4)
        if input[offset..<offset + 4].elementsEqual("data".utf8) {
            guard let encoding else { throw ResponseFault("the WAV file has no format before its samples") }
            if format != encoding.format {
                format = encoding.format
                onPiece(.format(encoding.format))
            }
            state = .samples(left: size == 0 || size >= 0x7FFF_0000 ? nil : size)
        } else if input[offset..<offset + 4].elementsEqual("fmt ".utf8) {
            guard size >= 16 else { throw ResponseFault("the WAV file's format is too short") }
            state = .format(size: size)
        } else {
            // Chunks begin at even offsets.
            state = .skip(size + size % 2)
        }
    }

    private mutating func emit(_ bytes: ArraySlice<UInt8>, _ onPiece: (Piece) -> Void) {
        guard let encoding, !bytes.isEmpty else { return }
        var whole = partialFrame + bytes
        let remainder = whole.count % encoding.frameBytes
        partialFrame = Array(whole.suffix(remainder))
        whole.removeLast(remainder)
        if !whole.isEmpty { onPiece(.samples(encoding.convert(whole))) }
    }
}

/// The first bytes of a WAV file: `RIFF`, the length (four bytes, ignored), `WAVE`. RF64 and BW64 (EBU Tech 3306) differ only in lengths.
private enum WAVSignature {
    static let count = 12
    private static let names: [StaticString] = ["RIFF", "RF64", "BW64"]

    enum Match {
        case none
        /// The bytes end within the signature.
        case part
        case whole
    }

    static func matches(_ bytes: [UInt8], at offset: Int) -> Match {
        for name in names {
            guard hasPrefix(bytes, at: offset, of: name), hasPrefix(bytes, at: offset + 8, of: "WAVE") else { continue }
            return bytes.count - offset >= count ? .whole : .part
        }
        return .none
    }

    /// Returns the first offset in `start..<end` at which a signature begins, or may begin if the bytes end within it.
    static func first(in bytes: [UInt8], from start: Int, to end: Int) -> (offset: Int, isWhole: Bool)? {
        for offset in start..<end where bytes[offset] == UInt8(ascii: "R") || bytes[offset] == UInt8(ascii: "B") {
            let match = matches(bytes, at: offset)
            if match != .none { return (offset, match == .whole) }
        }
        return nil
    }

    /// Returns whether the bytes at an offset equal the name, or a prefix of the name if the bytes end within it.
    private static func hasPrefix(_ bytes: [UInt8], at offset: Int, of name: StaticString) -> Bool {
        guard offset < bytes.count else { return true }
        return name.withUTF8Buffer { unsafe $0.starts(with: bytes[offset..<min(offset + 4, bytes.count)]) }
    }
}
