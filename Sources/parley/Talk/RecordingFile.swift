// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayAudio
import GatewayCore
import GatewayServer

/// A WAV file that is read chunk by chunk while it is sent, so that memory usage doesn't depend on its length.
final class RecordingFile: Sendable {
    static let chunkMilliseconds = 20

    let path: String
    let wav: WAVFile
    let chunkBytes: Int
    let chunkCount: Int
    private let file: FileHandle

    init(path: String) throws(WAVFault) {
        guard let file = FileHandle(forReadingAtPath: path) else { throw .unreadable(String(cString: strerror(errno))) }
        self.path = path
        self.file = file
        let size = try Self.reading { try file.seekToEnd() }
        wav = try WAVFile(
            fileSize: Int(clamping: size),
            bytes: { (offset, count) throws(WAVFault) in try Self.bytes(of: file, at: offset, count: count) })
        chunkBytes = wav.chunkBytes(milliseconds: Self.chunkMilliseconds)
        chunkCount = wav.chunkCount(chunkBytes: chunkBytes)
    }

    var duration: Duration { wav.duration(ofBytes: wav.dataCount) }

    /// The duration of every chunk but the last; not exactly 20 ms if that isn't a whole number of samples.
    var chunkDuration: Duration { wav.duration(ofBytes: chunkBytes) }

    /// Reads a chunk.
    ///
    /// - Parameter number: 1 to ``chunkCount``
    func chunk(_ number: Int) throws(WAVFault) -> [UInt8] {
        let range = wav.range(ofChunk: number, chunkBytes: chunkBytes)
        let bytes = try Self.bytes(of: file, at: range.lowerBound, count: range.count)
        guard bytes.count == range.count else { throw .truncated }
        return bytes
    }

    /// Path, duration and format, for the notice that the recording is being sent.
    var summary: String {
        let length = ClientText.seconds(milliseconds: duration.clampedMilliseconds)
        return "\(path): \(length) of \(wav.format.codec.rawValue), \(wav.format.rate) Hz, \(wav.format.channels == 1 ? "mono" : "stereo")"
    }

    private static func bytes(of file: FileHandle, at offset: Int, count: Int) throws(WAVFault) -> [UInt8] {
        try reading {
            try file.seek(toOffset: UInt64(offset))
            return Array(try file.read(upToCount: count) ?? Data())
        }
    }

    private static func reading<Result>(_ body: () throws -> Result) throws(WAVFault) -> Result {
        do { return try body() } catch { throw .unreadable(FileErrorText.text(error)) }
    }
}
