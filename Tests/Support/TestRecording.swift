// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A WAV file with a square wave at half scale: 16-bit PCM, 16 kHz, mono.
package enum TestRecording {
    package static func write(seconds: Double, to path: String) throws {
        let samples = (0..<Int(seconds * 16000)).flatMap { $0 / 20 % 2 == 0 ? [0x00, 0x40] : [0x00, 0xC0] as [UInt8] }
        func little(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        var file = Array("RIFF".utf8) + little(36 + samples.count, 4) + Array("WAVEfmt ".utf8) + little(16, 4) + little(1, 2) + little(1, 2)
        file += little(16000, 4) + little(32000, 4) + little(2, 2) + little(16, 2) + Array("data".utf8) + little(samples.count, 4) + samples
        try Data(file).write(to: URL(fileURLWithPath: path))
    }
}
