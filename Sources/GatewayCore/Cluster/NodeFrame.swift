// SPDX-License-Identifier: Apache-2.0

/// A frame of the link between two nodes.
///
/// The encoding: the length of the rest as 4 bytes, the type as 1 byte, the stream as 8 bytes, and the payload. Numbers are little-endian,
/// as in records.
package struct NodeFrame: Sendable, Hashable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// The first frame of each side: ``NodeHello``.
        case hello = 1
        /// The second frame of each side: the proof of the cluster's secret, empty without one.
        case proof = 2
        case ping = 3
        case pong = 4
        /// Opens a stream. The payload is its label.
        case open = 5
        /// A message of a stream.
        case data = 6
        /// Allows the receiver to send more bytes of a stream: 8 bytes.
        case credit = 7
        /// Closes a stream in both directions. The payload is the reason, 1 byte.
        case close = 8
        /// A request of a number, which takes the place of the stream. The first byte of the payload is the kind of request.
        case request = 9
        case response = 10
        /// The request isn't handled: the payload is the reason, 1 byte.
        case refusal = 11
        /// The sender opens no more streams and sends no more requests.
        case goAway = 12
    }

    package var kind: Kind
    /// The number of a stream or request; 0 for the frames of the link itself.
    package var stream: UInt64
    package var payload: [UInt8]

    package init(_ kind: Kind, stream: UInt64 = 0, payload: [UInt8] = []) {
        self.kind = kind
        self.stream = stream
        self.payload = payload
    }

    /// Bytes of the type and the stream, which the length includes.
    static let headSize = 9
    /// Maximum value of the length.
    package static let maximumLength = 4 << 20
    /// Maximum size of a payload in bytes.
    package static let maximumPayload = maximumLength - headSize
    /// Maximum value of the length before the peer has proved that it belongs to the cluster.
    package static let maximumLengthBeforeProof = 256

    /// Appends the first 13 bytes of a frame, which the payload follows.
    package static func appendHead(_ kind: Kind, stream: UInt64, payloadSize: Int, to bytes: inout [UInt8]) {
        bytes.append(fixed: UInt32(truncatingIfNeeded: headSize + payloadSize))
        bytes.append(kind.rawValue)
        bytes.append(fixed: stream)
    }

    /// The encoded frame.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + Self.headSize + payload.count)
        Self.appendHead(kind, stream: stream, payloadSize: payload.count, to: &bytes)
        bytes += payload
        return bytes
    }
}

/// The first frame of each side of a link.
package struct NodeHello: Sendable, Hashable {
    /// The version of the link's protocol.
    package static let version: UInt8 = 1
    package static let nonceSize = 32

    package var node: ULID
    /// Random bytes, new for each connection.
    package var nonce: [UInt8]

    package init(node: ULID, nonce: [UInt8]) {
        self.node = node
        self.nonce = nonce
    }

    package var payload: [UInt8] {
        var bytes = Array("parley".utf8)
        bytes.append(Self.version)
        bytes.append(ulid: node)
        bytes += nonce
        return bytes
    }

    /// Parses a payload; nil if it isn't a greeting of this version.
    package init?(_ payload: [UInt8]) {
        let magic = Array("parley".utf8) + [Self.version]
        guard payload.count == magic.count + 16 + Self.nonceSize, payload.starts(with: magic) else { return nil }
        var reader = RecordReader(Array(payload.dropFirst(magic.count)))
        guard let high: UInt64 = try? reader.fixed(), let low: UInt64 = try? reader.fixed() else { return nil }
        self.init(node: ULID(high: high, low: low), nonce: reader.rest())
    }

    /// Returns the bytes that a side authenticates to prove that it has the cluster's secret.
    ///
    /// Both nonces prevent replays, both ids bind the link to its two nodes, and the role prevents that a proof is sent back to its author.
    package static func transcript(byDialer: Bool, dialer: NodeHello, listener: NodeHello) -> [UInt8] {
        var bytes = Array("parley node link proof".utf8)
        bytes.append(UInt8(byDialer ? 1 : 2))
        bytes += dialer.payload
        bytes += listener.payload
        return bytes
    }
}
