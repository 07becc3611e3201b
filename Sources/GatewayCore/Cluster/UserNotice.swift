// SPDX-License-Identifier: Apache-2.0

/// A message to another node about the connections of a user.
package enum UserNotice: Sendable, Hashable {
    /// Closes a connection, because a newer one of the user took its place. The reply is empty.
    case evict(user: String, connection: ULID)
    /// Closes the connections whose tokens are revoked. The reply is ``revoked(_:)``.
    case revoke(Revocations.Entry)

    package var record: [UInt8] {
        var record: [UInt8] = []
        switch self {
        case .evict(let user, let connection):
            record.append(0)
            record.append(text: user)
            record.append(ulid: connection)
        case .revoke(let entry):
            record.append(1)
            record.append(text: entry.user)
            record.append(fixed: UInt64(bitPattern: entry.before))
            record.append(fixed: UInt64(bitPattern: entry.until))
        }
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        switch try reader.fixed(UInt8.self) {
        case 0: self = .evict(user: try reader.text(), connection: try reader.ulid())
        case 1:
            self = .revoke(
                Revocations.Entry(
                    user: try reader.text(), before: Int64(bitPattern: try reader.fixed()), until: Int64(bitPattern: try reader.fixed())))
        default: throw RecordError()
        }
        try reader.expectEnd()
    }

    /// The reply to a revocation: the number of closed connections.
    package static func revoked(_ count: Int) -> [UInt8] {
        var record: [UInt8] = []
        record.append(fixed: UInt64(clamping: count))
        return record
    }

    /// Parses the reply to a revocation; 0 if it can't be read.
    package static func revokedCount(_ record: [UInt8]) -> Int {
        var reader = RecordReader(record)
        return (try? reader.fixed(UInt64.self)).map { Int(clamping: $0) } ?? 0
    }
}
