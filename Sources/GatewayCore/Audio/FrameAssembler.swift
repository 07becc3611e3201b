/// Restores frames, the samples of all channels at one moment, that were cut by the boundaries of chunks. Holds less than one frame.
struct FrameAssembler: Sendable {
    private let frameBytes: Int
    /// The beginning of a frame whose rest is still to come.
    private var rest: [UInt8] = []

    init(_ format: AudioFormat) { frameBytes = max(1, format.frameBytes) }

    /// - Parameter pass: is handed the frames that are whole with this chunk, if there are any
    mutating func add(_ chunk: RawSpan, _ pass: (RawSpan) -> Void) {
        let odd = (rest.count + chunk.byteCount) % frameBytes
        guard !rest.isEmpty else {
            let whole = chunk.byteCount - odd
            if whole > 0 { pass(chunk.extracting(0..<whole)) }
            if odd > 0 { rest.append(bytesOf: chunk.extracting(whole..<chunk.byteCount)) }
            return
        }
        var bytes = rest
        bytes.append(bytesOf: chunk)
        rest = Array(bytes.suffix(odd))
        bytes.removeLast(odd)
        if !bytes.isEmpty { bytes.withRawSpan(pass) }
    }
}
