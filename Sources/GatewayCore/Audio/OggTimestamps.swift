// SPDX-License-Identifier: Apache-2.0

/// The elapsed time of an Ogg Opus stream according to the granule positions of its pages (RFC 3533 §6, RFC 7845 §4).
///
/// Parses page headers and the beginning of the first page; holds at most one header, 282 bytes. Checksums aren't verified. Parsing stops
/// where a page should begin but doesn't.
struct OggTimestamps: Sendable {
    private static let headerBytes = 27
    /// The number of bytes parsed of the identification header: magic, version, channels, pre-skip (RFC 7845 §5.1).
    private static let openingBytes = 12
    private static let samplesPerSecond: Int64 = 48_000

    private(set) var progress = ContainerProgress()
    /// The bytes received of the current page's header.
    private var header: [UInt8] = []
    private var bodyRemaining = 0
    /// The beginning of the body of a stream's first page; nil for other pages.
    private var opening: [UInt8]?
    private var pageSerial: UInt64 = 0
    private var pageBytes: Int64 = 0
    /// The serial number of the Opus stream.
    private var serial: UInt64?
    private var preSkip: Int64 = 0
    /// The granule position up to which samples are counted.
    private var position: Int64 = 0
    private var isUnreadable = false

    mutating func read(_ bytes: RawSpan) {
        var offset = 0
        while offset < bytes.byteCount {
            guard !isUnreadable else { return progress.addUntimed(Int64(bytes.byteCount &- offset)) }
            if bodyRemaining > 0 {
                let end = offset &+ min(bodyRemaining, bytes.byteCount &- offset)
                readBody(bytes.extracting(offset..<end))
                offset = end
            } else {
                header.append(bytes.byte(at: offset))
                offset &+= 1
                readHeader()
            }
        }
    }

    private mutating func readHeader() {
        if header.count == 4, !header.elementsEqual("OggS".utf8) {
            isUnreadable = true
            return progress.addUntimed(4)
        }
        guard header.count >= Self.headerBytes, header.count == Self.headerBytes + Int(header[26]) else { return }
        bodyRemaining = header[Self.headerBytes...].reduce(0) { $0 + Int($1) }
        pageBytes = Int64(header.count + bodyRemaining)
        pageSerial = number(at: 14, bytes: 4)
        let granule = Int64(bitPattern: number(at: 6, bytes: 8))
        opening = header[5] & 2 != 0 ? [] : nil
        header.removeAll(keepingCapacity: true)
        if pageSerial == serial {
            advance(to: granule)
        } else if opening == nil {
            progress.addUntimed(pageBytes)
        }
    }

    private mutating func readBody(_ part: RawSpan) {
        bodyRemaining &-= part.byteCount
        guard var start = opening else { return }
        start.append(bytesOf: part.extracting(0..<min(part.byteCount, Self.openingBytes &- start.count)))
        opening = start
        guard start.count == Self.openingBytes || bodyRemaining == 0 else { return }
        opening = nil
        guard start.count == Self.openingBytes, start.starts(with: "OpusHead".utf8) else { return progress.addUntimed(pageBytes) }
        // A later identification header begins a concatenated file.
        serial = pageSerial
        preSkip = Int64(start[10]) | Int64(start[11]) << 8
        position = preSkip
    }

    /// Advances to the granule position of a page. Header pages have position 0, pages without a packet end −1; neither counts as
    /// audio, nor does the pre-skip.
    private mutating func advance(to granule: Int64) {
        guard granule > preSkip else { return }
        let samples = granule &- position
        position = granule
        // Clamped to avoid an overflow of the multiplication; the bound exceeds the longest step that counts.
        progress.add(step: AudioDuration.nanoseconds(min(samples, 1 << 40), perSecond: Self.samplesPerSecond), bytes: pageBytes)
    }

    /// Returns a little-endian number from the complete header.
    private func number(at offset: Int, bytes count: Int) -> UInt64 {
        (0..<count).reversed().reduce(0) { $0 << 8 | UInt64(header[offset + $1]) }
    }
}
