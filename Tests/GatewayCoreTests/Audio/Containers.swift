// SPDX-License-Identifier: Apache-2.0

/// A generator of containers like those of real recorders, with packets of given sizes.
enum Containers {
    static func little(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    // MARK: Ogg

    /// One page (RFC 3533 §6); its checksum is 0.
    static func page(granule: Int64, flags: UInt8 = 0, serial: UInt32 = 7, body: [UInt8]) -> [UInt8] {
        var lacing = [UInt8](repeating: 255, count: body.count / 255)
        lacing.append(UInt8(body.count % 255))
        let parts: [[UInt8]] = [
            Array("OggS".utf8), [0, flags], little(UInt64(bitPattern: granule), 8), little(UInt64(serial), 4), little(0, 8),
            [UInt8(lacing.count)], lacing, body,
        ]
        return parts.flatMap { $0 }
    }

    /// The two header pages of Ogg Opus (RFC 7845 §5).
    static func oggHeaders(preSkip: UInt16 = 312, serial: UInt32 = 7) -> [UInt8] {
        let head: [UInt8] = [Array("OpusHead".utf8), [1, 1], little(UInt64(preSkip), 2), little(48_000, 4), [0, 0, 0]].flatMap { $0 }
        return page(granule: 0, flags: 2, serial: serial, body: head)
            + page(granule: 0, serial: serial, body: Array("OpusTags".utf8) + little(0, 8))
    }

    /// A file with one page of `bytes` bytes per second.
    static func ogg(seconds: Int, bytes: Int, preSkip: UInt16 = 312, serial: UInt32 = 7) -> [UInt8] {
        oggHeaders(preSkip: preSkip, serial: serial)
            + (1...seconds).flatMap { second in
                page(
                    granule: Int64(second) * 48_000 + Int64(preSkip), flags: second == seconds ? 4 : 0, serial: serial,
                    body: [UInt8](repeating: 0x78, count: bytes))
            }
    }

    // MARK: WebM

    /// An element, with an unknown size if `isOpen` (RFC 8794 §6.2).
    static func element(_ id: [UInt8], _ data: [UInt8], isOpen: Bool = false) -> [UInt8] {
        let size: [UInt8] = isOpen ? [0x01] + [UInt8](repeating: 0xFF, count: 7) : [0x10 | UInt8(data.count >> 24)] + big(data.count, 3)
        return id + size + data
    }

    static func big(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    /// The header, a segment of unknown size, and its information and tracks, as written by Chrome's MediaRecorder.
    static func webMHeaders(scale: Int? = 1_000_000) -> [UInt8] {
        let ebml = element([0x1A, 0x45, 0xDF, 0xA3], element([0x42, 0x82], Array("webm".utf8)))
        let info = element([0x15, 0x49, 0xA9, 0x66], scale.map { element([0x2A, 0xD7, 0xB1], big($0, 4)) } ?? [])
        let tracks = element([0x16, 0x54, 0xAE, 0x6B], [UInt8](repeating: 0, count: 80))
        return ebml + element([0x18, 0x53, 0x80, 0x67], [], isOpen: true) + info + tracks
    }

    static func cluster(at ticks: Int, _ blocks: [UInt8], isOpen: Bool = true) -> [UInt8] {
        element([0x1F, 0x43, 0xB6, 0x75], element([0xE7], big(ticks, 4)) + blocks, isOpen: isOpen)
    }

    /// A block with one packet, whose first byte encodes 20 ms (SILK wideband).
    static func simpleBlock(at relative: Int, bytes: Int, toc: UInt8 = 0x48) -> [UInt8] {
        element([0xA3], [[0x81], big(relative, 2), [0x80, toc], [UInt8](repeating: 0x55, count: max(0, bytes - 5))].flatMap { $0 })
    }

    static func blockGroup(at relative: Int, bytes: Int) -> [UInt8] {
        let block: [UInt8] = [[0x81], big(relative, 2), [0, 0x48], [UInt8](repeating: 0, count: bytes)].flatMap { $0 }
        return element([0xA0], element([0xA1], block) + element([0x9B], [20]))
    }

    /// A file with one cluster of 50 blocks per second.
    static func webM(seconds: Int, bytesPerBlock: Int, isOpen: Bool = true) -> [UInt8] {
        webMHeaders()
            + (0..<seconds).flatMap { second in
                cluster(at: second * 1000, (0..<50).flatMap { simpleBlock(at: $0 * 20, bytes: bytesPerBlock) }, isOpen: isOpen)
            }
    }
}
