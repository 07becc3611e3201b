// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Testing

@testable import GatewayAudio

@Suite struct AudioMeterTests {
    private func format(_ codec: AudioFormat.Codec, rate: Int = 16_000, channels: Int = 1) -> AudioFormat {
        AudioFormat(codec: codec, rate: rate, channels: channels)
    }

    /// Returns the meter's summary of `sound` in chunks of `size` bytes.
    private func summary(_ audio: [UInt8], _ format: AudioFormat, chunks size: Int = .max) -> String {
        var meter = AudioMeter(format: format)
        var start = 0
        while start < audio.count {
            let end = size < audio.count - start ? start + size : audio.count
            meter.measure(Array(audio[start..<end]).span.bytes)
            start = end
        }
        return String(decoding: meter.summary(), as: UTF8.self)
    }

    private func sine(seconds: Double, rate: Int = 16_000, peak: Double) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in 0..<Int(seconds * Double(rate)) {
            // At a quarter of the rate and a phase of 90°, every fourth sample is the peak.
            let sample = Int16(clamping: Int((peak * cos(Double(index) * .pi / 2)).rounded()))
            bytes.append(UInt8(truncatingIfNeeded: sample))
            bytes.append(UInt8(truncatingIfNeeded: sample >> 8))
        }
        return bytes
    }

    @Test(arguments: [2, 320, 640, 1000, 64_000, Int.max])
    func `a sine of half the range has a peak of -6 dBFS, whatever the chunk size`(size: Int) {
        let audio = sine(seconds: 2, peak: 16_384)
        #expect(summary(audio, format(.pcm16), chunks: size) == "2.0 s of pcm16 at 16000 Hz, peak -6.0 dBFS, 100 % speech")
    }

    @Test(arguments: [(32_767, "-0.0"), (-32_768, "0.0"), (3277, "-20.0"), (1, "-90.3"), (328, "-40.0")] as [(Double, String)])
    func `the peak is reported in tenths of a decibel`(peak: Double, text: String) {
        let expected = text == "-0.0" ? "0.0" : text
        #expect(summary(sine(seconds: 1, peak: peak), format(.pcm16)).contains("peak \(expected) dBFS"))
    }

    @Test func `zero samples are reported as silent`() {
        #expect(
            summary([UInt8](repeating: 0, count: 32_000), format(.pcm16)) == "1.0 s of pcm16 at 16000 Hz, peak silent, 0 % speech")
    }

    @Test func `an empty buffer has duration zero`() {
        #expect(summary([], format(.pcm16)) == "0.0 s of pcm16 at 16000 Hz, peak silent, 0 % speech")
    }

    @Test func `speech is measured in frames of 20 ms`() {
        let loud = sine(seconds: 0.5, peak: 10_000)
        let quiet = sine(seconds: 1.5, peak: 20)
        #expect(summary(loud + quiet, format(.pcm16)).hasSuffix("25 % speech"))
        // The threshold is a root mean square of −40 dBFS: a peak of 463 is below, 464 above.
        #expect(summary(sine(seconds: 1, peak: 463), format(.pcm16)).hasSuffix(" 0 % speech"))
        #expect(summary(sine(seconds: 1, peak: 464), format(.pcm16)).hasSuffix(" 100 % speech"))
    }

    @Test func `an incomplete last frame counts as a frame`() {
        #expect(summary(sine(seconds: 0.03, peak: 10_000), format(.pcm16)).hasSuffix("100 % speech"))
    }

    @Test func `both channels are measured together`() {
        let audio = sine(seconds: 1, peak: 16_384)
        #expect(
            summary(audio, format(.pcm16, rate: 8000, channels: 2)) == "1.0 s of pcm16 at 8000 Hz stereo, peak -6.0 dBFS, 100 % speech")
    }

    /// Returns the expected summary after the duration, computed sample by sample in floating point.
    private func measured(_ samples: [Int16], frame: Int) -> String {
        let loudest = samples.map { abs(Double($0)) }.max() ?? 0
        let tenths = loudest == 0 ? 0 : Int((200 * log10(loudest / 32768)).rounded())
        let peak = loudest == 0 ? "silent" : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10) dBFS"
        let frames = stride(from: 0, to: samples.count, by: frame).map { samples[$0..<min($0 + frame, samples.count)] }
        let speech = frames.filter { frame in
            (frame.reduce(0) { $0 + Double($1) * Double($1) } / Double(frame.count)).squareRoot() > AudioMeter.speechThreshold * 32768
        }
        let percent = frames.isEmpty ? 0 : Int((100 * Double(speech.count) / Double(frames.count)).rounded())
        return "peak \(peak), \(percent) % speech"
    }

    @Test(arguments: (0..<16).map { (AudioFormat.Codec.pcm16, $0) } + [(.mulaw, 0), (.mulaw, 7), (.alaw, 0), (.alaw, 7)])
    func `a chunk of up to 300 bytes at any alignment gives the same result as single samples`(codec: AudioFormat.Codec, shift: Int) {
        // Alternately quiet and loud; at 1000 Hz a frame has 20 samples.
        let bytes = [UInt8].noise(320, seed: UInt64(shift)).enumerated().map { index, byte in
            codec == .pcm16 && index % 2 == 1 && index / 50 % 2 == 0 ? 0 : byte
        }
        var wrong: [Int] = []
        for length in 0...300 {
            var meter = AudioMeter(format: format(codec, rate: 1000))
            meter.measure(bytes.span.bytes.extracting(shift..<shift + length))
            let chunk = bytes[shift..<shift + length]
            let samples: [Int16]
            switch codec {
            case .mulaw: samples = chunk.map { AudioMeter.mulaw($0) }
            case .alaw: samples = chunk.map { AudioMeter.alaw($0) }
            default:
                samples = stride(from: shift, to: shift + length - 1, by: 2).map {
                    Int16(bitPattern: UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8)
                }
            }
            let summary = String(decoding: meter.summary(), as: UTF8.self)
            if !summary.hasSuffix(" Hz, " + measured(samples, frame: 20)) { wrong.append(length) }
        }
        #expect(wrong == [])
    }

    @Test(
        arguments: [
            (0x00, -32_124), (0x80, 32_124), (0xFF, 0), (0x7F, 0), (0xFE, 8), (0x7E, -8), (0xF0, 120), (0xEF, 132), (0x0F, -16_764),
            (0x8F, 16_764), (0x9F, 8316),
        ] as [(UInt8, Int16)])
    func `mu-law is decoded as in G.711`(code: UInt8, sample: Int16) {
        #expect(AudioMeter.mulaw(code) == sample)
    }

    @Test(
        arguments: [
            (0xD5, 8), (0x55, -8), (0xD4, 24), (0xAA, 32_256), (0x2A, -32_256), (0x80, 5504), (0xC5, 264), (0x45, -264), (0xA5, 16_896),
        ] as [(UInt8, Int16)])
    func `A-law is decoded as in G.711`(code: UInt8, sample: Int16) {
        #expect(AudioMeter.alaw(code) == sample)
    }

    @Test func `decoded G.711 values are symmetric and monotonic`() {
        for code in 0x00...0x7F as ClosedRange<UInt8> {
            #expect(AudioMeter.mulaw(code) == -AudioMeter.mulaw(code | 0x80))
            #expect(AudioMeter.alaw(code) == -AudioMeter.alaw(code | 0x80))
        }
        let mulaw = (0x00...0x7F as ClosedRange<UInt8>).map { AudioMeter.mulaw($0) }
        #expect(mulaw == mulaw.sorted() && Set(mulaw).count == 128)
        let alaw = (0x00...0x7F as ClosedRange<UInt8>).map { AudioMeter.alaw($0 ^ 0x55 | 0x80) }
        #expect(Set(alaw).count == 128)
    }

    @Test func `each byte of G.711 is a sample`() {
        #expect(
            summary([UInt8](repeating: 0x80, count: 8000), format(.mulaw, rate: 8000))
                == "1.0 s of mulaw at 8000 Hz, peak -0.2 dBFS, 100 % speech")
        #expect(
            summary([UInt8](repeating: 0xD5, count: 4000), format(.alaw, rate: 8000))
                == "0.5 s of alaw at 8000 Hz, peak -72.2 dBFS, 0 % speech")
    }

    @Test func `for packets and containers only the duration is reported`() {
        #expect(summary([0x78], format(.opus, rate: 48_000)) == "0.0 s of opus at 48000 Hz")
        #expect(summary(Array(repeating: 0x08, count: 100), format(.opus, rate: 48_000), chunks: 1) == "2.0 s of opus at 48000 Hz")
        #expect(summary([UInt8](repeating: 0, count: 20_000), format(.webmOpus, rate: 48_000)) == "0.6 s of webm_opus at 48000 Hz")
        #expect(summary([UInt8](repeating: 0, count: 64_000), format(.mp4AAC, rate: 44_100)) == "2.0 s of mp4_aac at 44100 Hz")
    }
}
