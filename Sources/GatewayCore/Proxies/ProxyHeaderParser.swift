// SPDX-License-Identifier: Apache-2.0

/// An incremental parser of the ``ProxyHeader`` at the beginning of a connection. The result doesn't depend on how the bytes are split.
///
/// Keeps at most 216 bytes (the addresses of AF_UNIX) and two names; extensions (TLVs) are skipped as they arrive, so a header may have the
/// protocol's full length of 65,551 bytes.
package struct ProxyHeaderParser: Sendable {
    package enum Verdict: Sendable, Equatable {
        case incomplete
        /// The connection doesn't begin with a PROXY header: all its bytes, those in ``ProxyHeaderParser/prefix`` first, belong to the client.
        case absent
        case complete(ProxyHeader)
        case malformed(ProxyHeaderFault)
    }

    private enum State {
        case signature
        case line
        case fixedPart
        case addresses(count: Int)
        case extensions(ProxyHeaderExtensions)
        /// Skips the rest of a header whose addresses are ignored.
        case rest(count: Int)
    }

    package private(set) var verdict = Verdict.incomplete
    /// The bytes of the current part.
    private var bytes: [UInt8] = []
    private var state = State.signature
    private var source = ProxyHeader.Source.unknown
    /// The bytes of a version 2 header after the addresses.
    private var extensionBytes = 0

    /// The first bytes of version 1.
    package static let lineSignature = Array("PROXY ".utf8)
    /// The first bytes of version 2.
    package static let binarySignature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    /// The maximum length of version 1 with CR LF, in bytes.
    package static let maximumLineBytes = 107
    /// The signature of version 2, the version and command, the family and protocol, and the length, in bytes.
    private static let fixedBytes = 16

    package init() {}

    /// The consumed bytes of a connection without a header: at most 12.
    package var prefix: [UInt8] { verdict == .absent ? bytes : [] }

    /// Parses bytes until the verdict.
    ///
    /// - Returns: the number of bytes consumed. After a complete header, the other bytes belong to the client.
    package mutating func consume(_ span: RawSpan) -> Int {
        var index = 0
        while index < span.byteCount, verdict == .incomplete {
            consume(span.byte(at: index))
            index += 1
        }
        return index
    }

    private mutating func consume(_ byte: UInt8) {
        do throws(ProxyHeaderFault) {
            switch state {
            case .signature: readSignature(byte)
            case .line: try readLine(byte)
            case .fixedPart: try readFixedPart(byte)
            case .addresses(let count): try readAddresses(byte, count: count)
            case .extensions(var extensions):
                try extensions.consume(byte)
                state = .extensions(extensions)
                if extensions.isComplete { complete(extensions) }
            case .rest(let count):
                state = .rest(count: count - 1)
                if count == 1 { complete() }
            }
        } catch {
            verdict = .malformed(error)
        }
    }

    private mutating func complete(_ extensions: ProxyHeaderExtensions? = nil) {
        verdict = .complete(
            ProxyHeader(
                source, authority: extensions.flatMap { ProxyHeader.name($0.authority) },
                certificateName: extensions.flatMap { ProxyHeader.name($0.certificateName) }))
    }

    private mutating func readSignature(_ byte: UInt8) {
        bytes.append(byte)
        if bytes == Self.lineSignature {
            state = .line
        } else if bytes == Self.binarySignature {
            state = .fixedPart
        } else if !Self.lineSignature.starts(with: bytes), !Self.binarySignature.starts(with: bytes) {
            verdict = .absent
        }
    }

    // MARK: Version 1

    private mutating func readLine(_ byte: UInt8) throws(ProxyHeaderFault) {
        let follows = bytes.last == 0x0D
        bytes.append(byte)
        guard follows == (byte == 0x0A) else { throw .lineSyntax }
        guard byte == 0x0A else {
            guard bytes.count < Self.maximumLineBytes else { throw .lineTooLong }
            return
        }
        source = try Self.source(line: bytes.dropFirst(Self.lineSignature.count).dropLast(2))
        complete()
    }

    /// Parses the part of the line between `PROXY ` and CR LF.
    private static func source(line: ArraySlice<UInt8>) throws(ProxyHeaderFault) -> ProxyHeader.Source {
        // The rest of the line is ignored after UNKNOWN.
        let fields = line.split(separator: 0x20, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        guard let family = fields.first, ["TCP4", "TCP6", "UNKNOWN"].contains(family) else { throw .lineSyntax }
        if family == "UNKNOWN" { return .unknown }
        guard fields.count == 5 else { throw .lineSyntax }
        let addresses = fields[1...2].compactMap { NetworkAddress($0) }
        // An IPv6 address may be a mapped one, which counts as IPv4.
        guard addresses.count == 2, let client = addresses.first, fields[1...2].allSatisfy({ $0.contains(":") == (family == "TCP6") })
        else {
            throw .address
        }
        let ports = fields[3...4].compactMap(port)
        guard ports.count == 2, let port = ports.first else { throw .port }
        return .client(client, port: port)
    }

    /// Parses a decimal number without leading zeros, up to 65535.
    private static func port(_ text: String) -> UInt16? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), text == "0" || !text.hasPrefix("0") else {
            return nil
        }
        return UInt16(text)
    }

    // MARK: Version 2

    private mutating func readFixedPart(_ byte: UInt8) throws(ProxyHeaderFault) {
        bytes.append(byte)
        guard bytes.count == Self.fixedBytes else { return }
        let (version, command) = (bytes[12] >> 4, bytes[12] & 0xF)
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard version == 2 else { throw .version }
        guard command <= 1 else { throw .command }
        let addressBytes: Int? =
            switch bytes[13] {
            // AF_UNSPEC with any protocol.
            case 0x00, 0x01, 0x02: nil
            // AF_INET, AF_INET6 and AF_UNIX with STREAM.
            case 0x11: 12
            case 0x21: 36
            case 0x31: 216
            // The receiver of LOCAL ignores the family.
            case _ where command == 0: nil
            default: throw .family
            }
        bytes = []
        if command == 0 { source = .proxy }
        guard command == 1, let addressBytes else {
            state = .rest(count: length)
            if length == 0 { complete() }
            return
        }
        guard addressBytes <= length else { throw .length }
        extensionBytes = length - addressBytes
        state = .addresses(count: addressBytes)
    }

    private mutating func readAddresses(_ byte: UInt8, count: Int) throws(ProxyHeaderFault) {
        bytes.append(byte)
        guard bytes.count == count else { return }
        // The source address, the destination address, the source port, the destination port; AF_UNIX has no ports.
        if count < 216, let address = NetworkAddress(bytes: bytes.prefix((count - 4) / 2)) {
            source = .client(address, port: bytes.dropLast(2).suffix(2).reduce(0) { $0 << 8 | UInt16($1) })
        }
        bytes = []
        state = .extensions(ProxyHeaderExtensions(count: extensionBytes))
        if extensionBytes == 0 { complete() }
    }
}
