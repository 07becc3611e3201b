// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

#if canImport(Glibc)
import Glibc
#endif

/// A meter for streamed audio: duration, peak level, and the share of speech by energy.
///
/// Samples of `pcm16`, `mulaw` and `alaw` (ITU-T G.711) are measured; for packets and containers only the duration.
package struct AudioMeter: Sendable {
    /// The root mean square above which a frame of 20 ms counts as speech: −40 dBFS.
    package static let speechThreshold = 0.01
    private static let frameNanoseconds = 20_000_000

    private let format: AudioFormat
    private var clock: AudioStreamClock
    private var nanoseconds: Int64 = 0
    /// The largest magnitude so far, 0...32768.
    private var peak: Int32 = 0
    /// The sum of the squares of the current frame's samples: at most 2³⁰ each, for a few thousand samples.
    private var frameEnergy: UInt64 = 0
    private var frameSamples = 0
    private let samplesPerFrame: Int
    private var frames = 0
    private var speechFrames = 0

    package init(format: AudioFormat) {
        self.format = format
        clock = AudioStreamClock(format: format)
        samplesPerFrame = max(1, format.rate * format.channels * Self.frameNanoseconds / 1_000_000_000)
    }

    private var hasSamples: Bool {
        switch format.codec {
        case .pcm16, .mulaw, .alaw: true
        case .opus, .oggOpus, .webmOpus, .mp4AAC: false
        }
    }

    package mutating func measure(_ chunk: RawSpan) {
        nanoseconds &+= clock.nanoseconds(adding: chunk) ?? 0
        chunk.withUnsafeBytes { bytes in
            switch format.codec {
            case .pcm16: addSamples(bytes)
            case .mulaw: add(count: bytes.count) { Self.mulaw(bytes[$0]) }
            case .alaw: add(count: bytes.count) { Self.alaw(bytes[$0]) }
            case .opus, .oggOpus, .webmOpus, .mp4AAC: break
            }
        }
    }

    private mutating func addSamples(_ bytes: UnsafeRawBufferPointer) {
        let count = bytes.count / 2
        var index = 0
        while index < count {
            let end = min(count, index &+ samplesPerFrame &- frameSamples)
            frameSamples &+= end &- index
            var blocks = SampleBlocks()
            while end &- index >= SampleBlocks.Block.scalarCount {
                blocks.add(bytes.loadUnaligned(fromByteOffset: 2 &* index, as: SampleBlocks.Block.self))
                index &+= SampleBlocks.Block.scalarCount
            }
            frameEnergy &+= blocks.energy
            peak = max(peak, blocks.peak)
            while index < end {
                add(bytes.loadUnaligned(fromByteOffset: 2 &* index, as: Int16.self))
                index &+= 1
            }
            if frameSamples == samplesPerFrame { closeFrame() }
        }
    }

    @inline(__always)
    private mutating func add(count: Int, sample: (Int) -> Int16) {
        for index in 0..<count {
            add(sample(index))
            frameSamples &+= 1
            if frameSamples == samplesPerFrame { closeFrame() }
        }
    }

    @inline(__always)
    private mutating func add(_ sample: Int16) {
        let value = Int32(sample)
        frameEnergy &+= UInt64(UInt32(bitPattern: value &* value))
        peak = max(peak, abs(value))
    }

    private mutating func closeFrame() {
        guard frameSamples > 0 else { return }
        frames += 1
        if (Double(frameEnergy) / Double(frameSamples)).squareRoot() > Self.speechThreshold * 32768 { speechFrames += 1 }
        frameEnergy = 0
        frameSamples = 0
    }

    /// Returns a summary such as `2.0 s of pcm16 at 16000 Hz, peak -6.0 dBFS, 34 % speech`.
    package mutating func summary() -> [UInt8] {
        closeFrame()
        var text: [UInt8] = []
        Self.append(Double(nanoseconds) / 1e9, to: &text)
        text.append(contentsOf: " s of \(format.codec.rawValue) at \(format.rate) Hz".utf8)
        if format.channels == 2 { text.append(contentsOf: " stereo".utf8) }
        guard hasSamples else { return text }
        text.append(contentsOf: ", peak ".utf8)
        if peak > 0 {
            Self.append(20 * log10(Double(peak) / 32768), to: &text)
            text.append(contentsOf: " dBFS".utf8)
        } else {
            text.append(contentsOf: "silent".utf8)
        }
        let percent = frames == 0 ? 0 : Int((100 * Double(speechFrames) / Double(frames)).rounded())
        text.append(contentsOf: ", \(percent) % speech".utf8)
        return text
    }

    /// Appends a number with one decimal.
    private static func append(_ value: Double, to text: inout [UInt8]) {
        let tenths = Int((value * 10).rounded())
        text.append(contentsOf: "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)".utf8)
    }

    /// Decodes G.711 μ-law to 16-bit linear.
    static func mulaw(_ byte: UInt8) -> Int16 {
        let code = ~byte
        let magnitude = ((Int(code & 0x0F) << 3) + 0x84) << Int((code >> 4) & 7)
        let value = magnitude - 0x84
        return Int16(truncatingIfNeeded: code & 0x80 != 0 ? -value : value)
    }

    /// Decodes G.711 A-law to 16-bit linear.
    static func alaw(_ byte: UInt8) -> Int16 {
        let code = byte ^ 0x55
        let exponent = Int((code >> 4) & 7)
        let mantissa = Int(code & 0x0F) << 4
        let magnitude = exponent == 0 ? mantissa + 8 : (mantissa + 0x108) << (exponent - 1)
        return Int16(truncatingIfNeeded: code & 0x80 != 0 ? magnitude : -magnitude)
    }
}
