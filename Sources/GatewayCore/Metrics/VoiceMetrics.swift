// SPDX-License-Identifier: Apache-2.0

/// How conversations feel: the delays that a speaker notices, and how much of the speech is heard.
package struct VoiceMetrics: Sendable {
    /// From the end of the user's input to the first sound that is written to the socket, in nanoseconds.
    package var firstAudio = Histogram()
    /// From the end of the user's input to the first text that is written to the socket, in nanoseconds.
    package var firstText = Histogram()
    /// From a `cancel` to the write of the message that confirms it, after the last message of the request, in nanoseconds.
    package var cancellation = Histogram()
    /// The played share of a spoken response, in millionths.
    package var heardRatio = Histogram()
    /// The duration of accepted audio, in nanoseconds.
    package var inNanoseconds: UInt64 = 0
    /// The duration of the audio of responses, in nanoseconds.
    package var outNanoseconds: UInt64 = 0

    package init() {}

    mutating func add(_ other: VoiceMetrics) {
        firstAudio.add(other.firstAudio)
        firstText.add(other.firstText)
        cancellation.add(other.cancellation)
        heardRatio.add(other.heardRatio)
        inNanoseconds &+= other.inNanoseconds
        outNanoseconds &+= other.outNanoseconds
    }

    /// Records how much of a response was played.
    ///
    /// - Parameters:
    ///   - played: milliseconds that the client reports; at most the generated duration counts
    ///   - generated: nanoseconds of audio that were generated; 0 records nothing
    mutating func recordPlayed(_ played: Int64, of generated: Int64) {
        guard generated > 0 else { return }
        let nanoseconds = Double(max(0, played)) * 1_000_000
        heardRatio.record(Int64(min(1, nanoseconds / Double(generated)) * 1_000_000))
    }
}
