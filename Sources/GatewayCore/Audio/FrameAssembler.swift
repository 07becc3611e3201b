// SPDX-License-Identifier: Apache-2.0

/// A buffer that reassembles frames (the samples of all channels at one time) split across chunks. Holds less than one frame.
struct FrameAssembler: Sendable {
    private let frameBytes: Int
    /// The beginning of an incomplete frame.
    private var partialFrame: [UInt8] = []

    init(_ format: AudioFormat) { frameBytes = max(1, format.frameBytes) }

    /// Adds a chunk.
    ///
    /// - Parameter body: called with the frames that the chunk completes, if any
    mutating func add(_ chunk: RawSpan, _ body: (RawSpan) -> Void) {
        let remainder = (partialFrame.count + chunk.byteCount) % frameBytes
        guard !partialFrame.isEmpty else {
            let wholeFrames = chunk.byteCount - remainder
            if wholeFrames > 0 { body(chunk.extracting(0..<wholeFrames)) }
            if remainder > 0 { partialFrame.append(bytesOf: chunk.extracting(wholeFrames..<chunk.byteCount)) }
            return
        }
        var bytes = partialFrame
        bytes.append(bytesOf: chunk)
        partialFrame = Array(bytes.suffix(remainder))
        bytes.removeLast(remainder)
        if !bytes.isEmpty { bytes.withRawSpan(body) }
    }
}
