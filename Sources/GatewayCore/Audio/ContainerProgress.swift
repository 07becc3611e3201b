/// How far a container has got: the time that its timestamps tell, and the bytes without any.
struct ContainerProgress: Sendable, Hashable {
    /// The longest step between two timestamps that counts as audio, in nanoseconds: as much as an Ogg page can hold, 255 packets of 120 ms.
    /// A longer step is a jump, as at the beginning of a stream that was joined in its middle.
    static let longestStep: Int64 = 255 * 120_000_000
    /// Three years: beyond any stream, and far from where sums overflow.
    private static let most: Int64 = 100_000_000_000_000_000

    private(set) var nanoseconds: Int64 = 0
    private(set) var untimedBytes: Int64 = 0

    init(untimedBytes: Int64 = 0) { self.untimedBytes = untimedBytes }

    var total: Int64 {
        min(nanoseconds &+ min(AudioClock.nanoseconds(untimedBytes, perSecond: AudioClock.containerBytesPerSecond), Self.most), Self.most)
    }

    /// Adds a step forward; a jump counts as the bytes that made it.
    mutating func add(step: Int64, bytes: Int64) {
        guard step <= Self.longestStep else { return addUntimed(bytes) }
        nanoseconds = min(nanoseconds &+ max(0, step), Self.most)
    }

    mutating func addUntimed(_ count: Int64) { untimedBytes = min(untimedBytes &+ count, Self.most) }
}
