// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A check of an SQLite file's write-ahead log (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
///
/// SQLite reads a log up to the first frame with a wrong checksum and ignores the rest. This hides damage: a bad first frame loses the
/// whole log without an error, and the log of an empty file is deleted. The log is therefore checked before SQLite opens it, without
/// writing.
struct WriteAheadLog {
    /// A loss that SQLite doesn't report.
    enum Damage: Equatable {
        /// The log has frames, but the store's file is too short to be a database.
        case noFile(bytes: Int, frames: Int)
        /// The header is invalid, so SQLite ignores all frames.
        case header(frames: Int)
        /// A frame is invalid although a commit of the same generation follows, or the invalid frame is the first one and itself a commit.
        case frame(number: Int, following: Int)
    }

    /// SQLite's minimum page size, in bytes. A smaller file has no page.
    static let minFileBytes = 512
    private static let headerBytes = 32
    private static let frameHeaderBytes = 24
    private static let pageSizes: ClosedRange<UInt32> = 512...65536

    private let file: FileHandle
    /// Whether the checksums are computed over big-endian words.
    private var isBigEndian = false
    private var checksum: (UInt32, UInt32) = (0, 0)

    private init(_ file: FileHandle) { self.file = file }

    /// Checks the log of the store at `path`, reading it once, frame by frame.
    ///
    /// - Returns: nil when there is no log or it is intact
    static func damage(of path: String) throws -> Damage? {
        guard let file = FileHandle(forReadingAtPath: path + "-wal") else { return nil }
        defer { try? file.close() }
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let storeBytes = (attributes?[.size] as? NSNumber)?.intValue ?? 0
        let logBytes = Int(clamping: try file.seekToEnd())
        try file.seek(toOffset: 0)
        guard logBytes > headerBytes else { return nil }
        var log = WriteAheadLog(file)
        return try log.damage(storeBytes: storeBytes, logBytes: logBytes)
    }

    private mutating func damage(storeBytes: Int, logBytes: Int) throws -> Damage? {
        guard let header = try read(Self.headerBytes) else { return nil }
        let page = Self.word(header, at: 8)
        let isKnown = Self.word(header, at: 0) & ~1 == 0x377F_0682 && Self.pageSizes.contains(page) && page & (page - 1) == 0
        let frameBytes = Self.frameHeaderBytes + (isKnown ? Int(page) : 4096)
        let frames = (logBytes - Self.headerBytes) / frameBytes
        guard frames > 0 else { return nil }
        if storeBytes < Self.minFileBytes { return .noFile(bytes: storeBytes, frames: frames) }
        isBigEndian = header[3] & 1 == 1
        add(header[..<24])
        guard isKnown, checksum == (Self.word(header, at: 24), Self.word(header, at: 28)) else { return .header(frames: frames) }
        return try damage(frames: frames, frameBytes: frameBytes, salts: header[16..<24])
    }

    private mutating func damage(frames: Int, frameBytes: Int, salts: ArraySlice<UInt8>) throws -> Damage? {
        var bad: Int?
        var following = 0
        var hasCommit = false
        for number in 1...frames {
            guard let frame = try read(frameBytes) else { break }
            let isOfThisGeneration = frame[8..<16].elementsEqual(salts)
            let isCommit = Self.word(frame, at: 4) > 0
            if bad == nil {
                add(frame[..<8])
                add(frame[Self.frameHeaderBytes...])
                if isOfThisGeneration, checksum == (Self.word(frame, at: 16), Self.word(frame, at: 20)) { continue }
                // The rest of the log is left over from the previous generation, unless frames of the current generation follow.
                bad = number
                hasCommit = number == 1 && isOfThisGeneration && isCommit
            } else if isOfThisGeneration {
                following += 1
                if isCommit { hasCommit = true }
            }
        }
        // Trailing frames without a commit belong to an interrupted transaction that was never acknowledged.
        guard let bad, hasCommit else { return nil }
        return .frame(number: bad, following: following)
    }

    private func read(_ count: Int) throws -> [UInt8]? {
        guard let data = try file.read(upToCount: count), data.count == count else { return nil }
        return Array(data)
    }

    /// Adds bytes to the checksum. Their count must be a multiple of 8.
    private mutating func add(_ bytes: ArraySlice<UInt8>) {
        let isBigEndian = isBigEndian
        var (first, second) = checksum
        bytes.withUnsafeBytes { bytes in
            for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
                let left = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                let right = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                first = first &+ (isBigEndian ? left.bigEndian : left.littleEndian) &+ second
                second = second &+ (isBigEndian ? right.bigEndian : right.littleEndian) &+ first
            }
        }
        checksum = (first, second)
    }

    private static func word(_ bytes: [UInt8], at index: Int) -> UInt32 {
        bytes[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

extension WriteAheadLog.Damage: CustomStringConvertible {
    var description: String {
        switch self {
        case .noFile(let bytes, let frames): "the file has only \(bytes) bytes; the \(frames) pages in its write-ahead log are lost"
        case .header(let frames): "the header of the write-ahead log is damaged; its \(frames) pages are lost"
        case .frame(let number, let following):
            "page \(number) of the write-ahead log is damaged; it and the \(following) pages after it are lost"
        }
    }
}
