/// A buffer that reassembles frames (the samples of all channels at one time) split across chunks. Holds less than one frame.
struct FrameAssembler: Sendable {
    private let frameBytes: Int
    /// The beginning of an incomplete frame.
    private var rest: [UInt8] = []

    init(_ format: AudioFormat) { frameBytes = max(1, format.frameBytes) }

    /// Adds a chunk.
    ///
    /// - Parameter body: called with the frames that the chunk completes, if any
    mutating func add(_ chunk: RawSpan, _ body: (RawSpan) -> Void) {
        let odd = (rest.count + chunk.byteCount) % frameBytes
        guard !rest.isEmpty else {
            let whole = chunk.byteCount - odd
            if whole > 0 { body(chunk.extracting(0..<whole)) }
            if odd > 0 { rest.append(bytesOf: chunk.extracting(whole..<chunk.byteCount)) }
            return
        }
        var bytes = rest
        bytes.append(bytesOf: chunk)
        rest = Array(bytes.suffix(odd))
        bytes.removeLast(odd)
        if !bytes.isEmpty { bytes.withRawSpan(body) }
    }
}
