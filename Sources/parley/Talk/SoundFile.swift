import Foundation
import GatewayCore
import GatewayServer

/// The WAV file that audio of the gateway is written into as it comes.
final class SoundFile: Sendable {
    let path: String
    private let file: FileHandle

    /// Makes the file, or empties it.
    init(path: String) throws {
        let url = URL(fileURLWithPath: path)
        try Data().write(to: url)
        self.path = path
        file = try FileHandle(forWritingTo: url)
    }

    /// Writes the beginning of the file, again when it's known how much came.
    ///
    /// - Returns: false for a codec that WAV files aren't made of.
    func begin(_ format: AudioFormat, dataCount: Int = 0) throws -> Bool {
        guard let header = WAVFile.header(format, dataCount: dataCount) else { return false }
        try file.seek(toOffset: 0)
        try file.write(contentsOf: Data(header))
        return true
    }

    func append(_ bytes: [UInt8]) throws {
        try file.write(contentsOf: Data(bytes))
    }

    func end(_ format: AudioFormat, dataCount: Int) throws {
        if dataCount % 2 == 1 { try append([0]) }
        _ = try begin(format, dataCount: dataCount)
        try file.synchronize()
    }
}
