// SPDX-License-Identifier: Apache-2.0

/// The elapsed time of a WebM stream according to the timestamps of its clusters and blocks (RFC 8794, RFC 9559 §§5, 10, 11).
///
/// Parses element headers, enters only the elements that contain blocks, and skips all others. Elements are treated as a flat sequence, so
/// the unknown sizes that live recorders write need no stack. Holds at most ``longestHead`` bytes.
struct WebMTimestamps: Sendable {
    private enum Element {
        static let ebml: UInt64 = 0x1A45_DFA3
        static let segment: UInt64 = 0x1853_8067
        static let info: UInt64 = 0x1549_A966
        static let timestampScale: UInt64 = 0x2AD7B1
        static let cluster: UInt64 = 0x1F43_B675
        static let clusterTimestamp: UInt64 = 0xE7
        static let blockGroup: UInt64 = 0xA0
        static let block: UInt64 = 0xA1
        static let simpleBlock: UInt64 = 0xA3
    }

    private enum State {
        case element
        case number(UInt64)
        case block
        case unreadable
    }

    /// A track number (8 bytes), a relative timestamp (2), the flags (1), and the bytes of an Opus packet that determine its duration (2).
    private static let longestHead = 13
    /// The longest element that is skipped; attachments and indexes of a recording are shorter.
    private static let longestSkip: UInt64 = 1 << 24
    private static let defaultScale: Int64 = 1_000_000

    private(set) var progress = ContainerProgress()
    private var state = State.element
    private var head: [UInt8] = []
    /// Bytes of the element's data that remain to be received, in ``State/number(_:)`` and ``State/block`` including those in ``head``.
    private var remaining = 0
    /// Whether an EBML header, segment or cluster has begun; other bytes before that aren't WebM.
    private var isInside = false
    /// The duration of one tick in nanoseconds.
    private var scale = Self.defaultScale
    /// The timestamp of the current cluster in ticks.
    private var clusterTimestamp: Int64 = 0
    /// The end of the audio so far, in nanoseconds on the container's own clock; nil before the first block.
    private var position: Int64?

    mutating func read(_ bytes: RawSpan) {
        var offset = 0
        while offset < bytes.byteCount {
            switch state {
            case .unreadable: return progress.addUntimed(Int64(bytes.byteCount &- offset))
            case .element where remaining > 0:
                let count = min(remaining, bytes.byteCount &- offset)
                remaining &-= count
                offset &+= count
            case .element:
                head.append(bytes.byte(at: offset))
                offset &+= 1
                readElement()
            case .number(let element):
                head.append(bytes.byte(at: offset))
                offset &+= 1
                if head.count == remaining { endNumber(element) }
            case .block:
                head.append(bytes.byte(at: offset))
                offset &+= 1
                if head.count == min(remaining, Self.longestHead) { endBlock() }
            }
        }
    }

    /// Parses the id and size of an element when both are complete (RFC 8794 §4).
    private mutating func readElement() {
        guard let first = head.first else { return }
        let idLength = first.leadingZeroBitCount + 1
        guard idLength <= 4 else { return stopParsing() }
        guard head.count > idLength else { return }
        let sizeLength = head[idLength].leadingZeroBitCount + 1
        guard sizeLength <= 8 else { return stopParsing() }
        guard head.count == idLength + sizeLength else { return }
        let id = head[..<idLength].reduce(0) { $0 << 8 | UInt64($1) }
        let mask = UInt64(1) << UInt64(7 * sizeLength) &- 1
        let size = head[idLength...].reduce(0) { $0 << 8 | UInt64($1) } & mask
        // A size of all ones is unknown.
        begin(id, size: size == mask ? nil : size)
    }

    private mutating func begin(_ id: UInt64, size: UInt64?) {
        switch id {
        case Element.ebml:
            // A later EBML header begins a concatenated file.
            (scale, clusterTimestamp, position, isInside) = (Self.defaultScale, 0, nil, true)
        case Element.segment, Element.cluster:
            isInside = true
            return head.removeAll(keepingCapacity: true)
        case Element.info, Element.blockGroup: if isInside { return head.removeAll(keepingCapacity: true) }
        default: break
        }
        guard isInside, let size, size <= Self.longestSkip else { return stopParsing() }
        remaining = Int(size)
        switch id {
        case Element.timestampScale, Element.clusterTimestamp:
            guard size <= 8 else { return stopParsing() }
            head.removeAll(keepingCapacity: true)
            state = .number(id)
            if remaining == 0 { endNumber(id) }
        case Element.simpleBlock, Element.block:
            guard size >= 4 else { return stopParsing() }
            head.removeAll(keepingCapacity: true)
            state = .block
        default: head.removeAll(keepingCapacity: true)
        }
    }

    private mutating func endNumber(_ element: UInt64) {
        let number = Int64(clamping: head.reduce(0) { $0 << 8 | UInt64($1) })
        if element == Element.clusterTimestamp {
            clusterTimestamp = number
        } else {
            scale = number > 0 ? number : Self.defaultScale
        }
        endElement(after: 0)
    }

    /// Handles the beginning of a block: the track, the timestamp relative to the cluster's, the flags, and the first bytes of the packet.
    /// The duration of laced packets isn't parsed.
    private mutating func endBlock() {
        defer { endElement(after: remaining &- head.count) }
        let trackLength = (head.first?.leadingZeroBitCount ?? 8) + 1
        guard trackLength <= 8, head.count >= trackLength + 3 else { return }
        let relative = Int64(Int16(bitPattern: UInt16(head[trackLength]) << 8 | UInt16(head[trackLength + 1])))
        let isLaced = head[trackLength + 2] & 0x06 != 0
        let (ticks, ticksOverflow) = clusterTimestamp.addingReportingOverflow(relative)
        let (start, startOverflows) = ticks.multipliedReportingOverflow(by: scale)
        guard !ticksOverflow, !startOverflows, start < .max / 2, start > .min / 2 else { return progress.addUntimed(Int64(remaining)) }
        let packet = AudioFormat(codec: .opus, rate: 48_000, channels: 1)
        let duration = isLaced ? nil : Array(head[(trackLength + 3)...]).withRawSpan { AudioDuration.nanoseconds(of: $0, format: packet) }
        let end = start + (duration ?? 0)
        let step = end - (position ?? start)
        // Timestamps may step back by a block or two; a longer step back is a restart.
        if step > 0 || position == nil || step < -ContainerProgress.longestStep { position = end }
        progress.add(step: step, bytes: Int64(remaining))
    }

    private mutating func endElement(after rest: Int) {
        head.removeAll(keepingCapacity: true)
        remaining = rest
        state = .element
    }

    private mutating func stopParsing() {
        progress.addUntimed(Int64(head.count))
        head = []
        state = .unreadable
    }
}
