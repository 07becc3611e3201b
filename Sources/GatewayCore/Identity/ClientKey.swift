// SPDX-License-Identifier: Apache-2.0

/// The client that resources are counted against, identified by its user or, without authentication, by its network address.
package struct ClientKey: Hashable, Sendable {
    /// The raw values are part of the stored format.
    package enum Kind: UInt8, Sendable {
        case unknown = 0
        case address = 1
        case user = 2
    }

    package let kind: Kind
    private let high: UInt64
    private let low: UInt64

    private init(kind: Kind, high: UInt64, low: UInt64) {
        self.kind = kind
        self.high = high
        self.low = low
    }

    /// An IPv4 address, or the /64 network of an IPv6 address, as two words.
    package static func address(high: UInt64, low: UInt64) -> ClientKey { ClientKey(kind: .address, high: high, low: low) }

    /// An authenticated user, as the first two words of a digest of its name.
    package static func user(high: UInt64, low: UInt64) -> ClientKey { ClientKey(kind: .user, high: high, low: low) }

    /// An unidentified client, such as that of a session or report stored by an earlier version.
    package static let unknown = ClientKey(kind: .unknown, high: 0, low: 0)

    package var bytes: [UInt8] {
        var record: [UInt8] = []
        append(to: &record)
        return record
    }

    func append(to record: inout [UInt8]) {
        record.append(kind.rawValue)
        record.append(fixed: high)
        record.append(fixed: low)
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        guard let kind = Kind(rawValue: try reader.fixed()) else { throw RecordError() }
        self.init(kind: kind, high: try reader.fixed(), low: try reader.fixed())
    }
}
