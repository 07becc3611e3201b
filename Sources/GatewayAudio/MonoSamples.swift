// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// Conversion of `pcm16`, `mulaw` and `alaw` to 16-bit linear mono, little-endian, as STT services require.
package enum MonoSamples {
    /// Returns nil for Opus and AAC, which require a decoder.
    package static func convert(_ chunk: [UInt8], _ format: AudioFormat) -> [UInt8]? {
        let samples: Int
        let sample: (Int) -> Int16
        switch format.codec {
        case .pcm16:
            guard format.channels > 1 else { return chunk }
            samples = chunk.count / 2
            sample = { Int16(bitPattern: UInt16(chunk[2 * $0]) | UInt16(chunk[2 * $0 + 1]) << 8) }
        case .mulaw:
            samples = chunk.count
            sample = { AudioMeter.mulaw(chunk[$0]) }
        case .alaw:
            samples = chunk.count
            sample = { AudioMeter.alaw(chunk[$0]) }
        case .opus, .oggOpus, .webmOpus, .mp4AAC: return nil
        }
        let frames = samples / format.channels
        var mono: [UInt8] = []
        mono.reserveCapacity(2 * frames)
        for frame in 0..<frames {
            var sum = 0
            for channel in 0..<format.channels { sum += Int(sample(frame * format.channels + channel)) }
            let value = UInt16(bitPattern: Int16(sum / format.channels))
            mono.append(UInt8(truncatingIfNeeded: value))
            mono.append(UInt8(truncatingIfNeeded: value >> 8))
        }
        return mono
    }
}
