// SPDX-License-Identifier: Apache-2.0

/// The request of a node to hand over a session, whose client resumes it there.
package struct HandOverRequest: Sendable, Hashable {
    package var session: ULID
    package var token: TokenHash
    /// `last_seq` of the client; nil when absent.
    package var last: UInt64?
    /// Whether `last_seq` isn't a number.
    package var isMalformed: Bool
    /// The user of the client; nil without authentication.
    package var user: String?
    /// The address of the requesting node, to which the owner opens the stream of the calls in flight.
    package var address: String

    package init(session: ULID, token: TokenHash, last: UInt64?, isMalformed: Bool, user: String?, address: String) {
        self.session = session
        self.token = token
        self.last = last
        self.isMalformed = isMalformed
        self.user = user
        self.address = address
    }

    package var record: [UInt8] {
        var record: [UInt8] = []
        record.append(ulid: session)
        for word in token.values { record.append(fixed: word) }
        record.append(perhaps: last) { $0.append(fixed: $1) }
        record.append(flag: isMalformed)
        record.append(perhaps: user) { $0.append(text: $1) }
        record.append(text: address)
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        session = try reader.ulid()
        token = TokenHash(try reader.fixed(), try reader.fixed(), try reader.fixed(), try reader.fixed())
        last = try reader.perhaps { (reader) throws(RecordError) in try reader.fixed(UInt64.self) }
        isMalformed = try reader.bool()
        user = try reader.perhaps { (reader) throws(RecordError) in try reader.text() }
        address = try reader.text()
        try reader.expectEnd()
    }
}

/// The reply of the owner.
package enum HandOverReply: Sendable, Hashable {
    /// The session belongs to the requesting node now.
    ///
    /// - `record`: what the stored records lack; see ``Session/appendHandover(to:now:wall:includesFrames:)``
    /// - `hasStream`: whether requests are in flight, whose calls continue over a stream that the owner has opened
    case granted(epoch: UInt64, record: [UInt8], hasStream: Bool)
    case rejected(ResumeError)
    /// The session isn't on this node any more.
    case elsewhere
    /// The store doesn't commit at the moment; the owner keeps the session.
    case unavailable

    package var record: [UInt8] {
        var record: [UInt8] = []
        switch self {
        case .granted(let epoch, let handover, let hasStream):
            record.append(0)
            record.append(fixed: epoch)
            record.append(counted: handover)
            record.append(flag: hasStream)
        case .rejected(let error):
            record.append(1)
            record.append(text: error.rawValue)
        case .elsewhere: record.append(2)
        case .unavailable: record.append(3)
        }
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        switch try reader.fixed(UInt8.self) {
        case 0: self = .granted(epoch: try reader.fixed(), record: try reader.counted(), hasStream: try reader.bool())
        case 1:
            guard let error = ResumeError(rawValue: try reader.text()) else { throw RecordError() }
            self = .rejected(error)
        case 2: self = .elsewhere
        case 3: self = .unavailable
        default: throw RecordError()
        }
        try reader.expectEnd()
    }
}
