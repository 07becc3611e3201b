package import GatewayCore

#if canImport(Glibc)
import Glibc
#endif

/// Measures sound as it passes: duration, peak level, and how much of it is speech by its energy.
///
/// Samples are those of `pcm16`, `mulaw` and `alaw` (ITU-T G.711); of packets and containers only the duration is known.
package struct AudioMeter: Sendable {
    /// Frames of 20 ms whose root mean square is over −40 dBFS count as speech.
    package static let speechThreshold = 0.01
    private static let frameNanoseconds = 20_000_000

    private let format: AudioFormat
    private var nanoseconds: Int64 = 0
    private var peak = 0.0
    private var frameEnergy = 0.0
    private var frameSamples = 0
    private let samplesPerFrame: Int
    private var frames = 0
    private var speechFrames = 0

    package init(format: AudioFormat) {
        self.format = format
        samplesPerFrame = max(1, format.rate * format.channels * Self.frameNanoseconds / 1_000_000_000)
    }

    private var hasSamples: Bool {
        switch format.codec {
        case .pcm16, .mulaw, .alaw: true
        case .opus, .oggOpus, .webmOpus: false
        }
    }

    package mutating func measure(_ chunk: RawSpan) {
        nanoseconds &+= AudioClock.nanoseconds(of: chunk, format: format) ?? 0
        switch format.codec {
        case .pcm16:
            var offset = 0
            while offset + 1 < chunk.byteCount {
                add(Int16(bitPattern: UInt16(chunk.byte(at: offset)) | UInt16(chunk.byte(at: offset + 1)) << 8))
                offset += 2
            }
        case .mulaw:
            for offset in 0..<chunk.byteCount { add(Self.mulaw(chunk.byte(at: offset))) }
        case .alaw:
            for offset in 0..<chunk.byteCount { add(Self.alaw(chunk.byte(at: offset))) }
        case .opus, .oggOpus, .webmOpus:
            break
        }
    }

    private mutating func add(_ sample: Int16) {
        let value = Double(sample) / 32768
        peak = max(peak, abs(value))
        frameEnergy += value * value
        frameSamples += 1
        if frameSamples == samplesPerFrame { closeFrame() }
    }

    private mutating func closeFrame() {
        guard frameSamples > 0 else { return }
        frames += 1
        if (frameEnergy / Double(frameSamples)).squareRoot() > Self.speechThreshold { speechFrames += 1 }
        frameEnergy = 0
        frameSamples = 0
    }

    /// Such as `2.0 s of pcm16 at 16000 Hz, peak -6.0 dBFS, 34 % speech`.
    package mutating func summary() -> [UInt8] {
        closeFrame()
        var text: [UInt8] = []
        Self.append(Double(nanoseconds) / 1e9, to: &text)
        text.append(contentsOf: " s of \(format.codec.rawValue) at \(format.rate) Hz".utf8)
        if format.channels == 2 { text.append(contentsOf: " stereo".utf8) }
        guard hasSamples else { return text }
        text.append(contentsOf: ", peak ".utf8)
        if peak > 0 {
            Self.append(20 * log10(peak), to: &text)
            text.append(contentsOf: " dBFS".utf8)
        } else {
            text.append(contentsOf: "silent".utf8)
        }
        let percent = frames == 0 ? 0 : Int((100 * Double(speechFrames) / Double(frames)).rounded())
        text.append(contentsOf: ", \(percent) % speech".utf8)
        return text
    }

    /// One decimal, as people write it.
    private static func append(_ value: Double, to text: inout [UInt8]) {
        let tenths = Int((value * 10).rounded())
        text.append(contentsOf: "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)".utf8)
    }

    /// G.711 μ-law to 16-bit linear.
    static func mulaw(_ byte: UInt8) -> Int16 {
        let code = ~byte
        let magnitude = ((Int(code & 0x0F) << 3) + 0x84) << Int((code >> 4) & 7)
        let value = magnitude - 0x84
        return Int16(truncatingIfNeeded: code & 0x80 != 0 ? -value : value)
    }

    /// G.711 A-law to 16-bit linear.
    static func alaw(_ byte: UInt8) -> Int16 {
        let code = byte ^ 0x55
        let exponent = Int((code >> 4) & 7)
        let mantissa = Int(code & 0x0F) << 4
        let magnitude = exponent == 0 ? mantissa + 8 : (mantissa + 0x108) << (exponent - 1)
        return Int16(truncatingIfNeeded: code & 0x80 != 0 ? magnitude : -magnitude)
    }
}
