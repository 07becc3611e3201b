// SPDX-License-Identifier: Apache-2.0

/// The progress of a container stream: the duration according to its timestamps, and the bytes without timestamps.
struct ContainerProgress: Sendable, Hashable {
    /// The longest step between two timestamps that counts as audio, in nanoseconds: the capacity of an Ogg page, 255 packets of 120 ms.
    /// A longer step is a discontinuity, for example at the start of a stream that was joined midway.
    static let longestStep: Int64 = 255 * 120_000_000
    /// Three years in nanoseconds: longer than any stream, and too small for sums to overflow.
    private static let limit: Int64 = 100_000_000_000_000_000

    private(set) var nanoseconds: Int64 = 0
    private(set) var untimedBytes: Int64 = 0

    init(untimedBytes: Int64 = 0) { self.untimedBytes = untimedBytes }

    /// The total duration in nanoseconds.
    var total: Int64 {
        min(
            nanoseconds &+ min(AudioDuration.nanoseconds(untimedBytes, perSecond: AudioDuration.containerBytesPerSecond), Self.limit),
            Self.limit)
    }

    /// Adds a step of the timestamps; a discontinuity counts by its bytes.
    mutating func add(step: Int64, bytes: Int64) {
        guard step <= Self.longestStep else { return addUntimed(bytes) }
        nanoseconds = min(nanoseconds &+ max(0, step), Self.limit)
    }

    mutating func addUntimed(_ count: Int64) { untimedBytes = min(untimedBytes &+ count, Self.limit) }
}
