// SPDX-License-Identifier: Apache-2.0

/// A request of an operator that another node executes: the label of the stream over which the response returns.
package struct OperatorRequest: Sendable, Hashable {
    /// A field of a request or response.
    package struct Field: Sendable, Hashable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The correlation id of the log lines about the request, on both nodes.
    package var correlationID: ULID
    /// The name of the operator's token.
    package var name: String
    /// The names of the operator's rights.
    package var rights: [String]
    /// The address of the operator; nil if it isn't known.
    package var address: String?
    package var method: String
    /// The path and the query.
    package var target: String
    package var fields: [Field]
    package var body: [UInt8]

    /// The first byte of the label, which distinguishes streams of operators from those of sessions.
    package static let mark: UInt8 = 1
    /// Maximum bytes of the name, address, method, and of each right.
    package static let maximumName = 1024
    /// Maximum bytes of the target, and of each field.
    package static let maximumText = 16_384
    /// Maximum number of rights and of fields.
    package static let maximumCount = 64
    /// Maximum size of the body.
    package static let maximumBody = NodeFrame.maximumPayload - 1_048_576

    package init(
        correlationID: ULID, name: String, rights: [String], address: String?, method: String, target: String, fields: [Field] = [],
        body: [UInt8] = []
    ) {
        self.correlationID = correlationID
        self.name = name
        self.rights = rights
        self.address = address
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
    }

    /// Whether the request is within the limits.
    package var isValid: Bool {
        rights.count <= Self.maximumCount && fields.count <= Self.maximumCount && body.count <= Self.maximumBody
            && ([name, method, address ?? ""] + rights).allSatisfy { $0.utf8.count <= Self.maximumName }
            && target.utf8.count <= Self.maximumText
            && fields.allSatisfy { $0.name.utf8.count <= Self.maximumName && $0.value.utf8.count <= Self.maximumText }
    }

    package var record: [UInt8] {
        var record = [Self.mark]
        record.append(ulid: correlationID)
        record.append(text: name)
        record.append(list: rights) { $0.append(text: $1) }
        record.append(perhaps: address) { $0.append(text: $1) }
        record.append(text: method)
        record.append(text: target)
        record.append(list: fields) { $0.append(field: $1) }
        record.append(counted: body)
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        guard try reader.fixed(UInt8.self) == Self.mark else { throw RecordError() }
        correlationID = try reader.ulid()
        name = try reader.text()
        rights = try reader.list(upTo: Self.maximumCount) { (reader) throws(RecordError) in try reader.text() }
        address = try reader.perhaps { (reader) throws(RecordError) in try reader.text() }
        method = try reader.text()
        target = try reader.text()
        fields = try reader.list(upTo: Self.maximumCount) { (reader) throws(RecordError) in try reader.field() }
        body = try reader.counted()
        try reader.expectEnd()
        guard isValid else { throw RecordError() }
    }
}

/// The first message of the stream back. The body of a response follows in further messages.
package enum OperatorReply: Sendable, Hashable {
    case response(status: UInt16, fields: [OperatorRequest.Field])
    /// The session of the request isn't on this node any more.
    case elsewhere

    package var record: [UInt8] {
        var record: [UInt8] = []
        switch self {
        case .response(let status, let fields):
            record.append(0)
            record.append(fixed: status)
            record.append(list: fields) { $0.append(field: $1) }
        case .elsewhere: record.append(1)
        }
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        switch try reader.fixed(UInt8.self) {
        case 0:
            let status: UInt16 = try reader.fixed()
            // Informational statuses have no body, and can't be the last.
            guard (200...599).contains(status) else { throw RecordError() }
            let fields = try reader.list(upTo: OperatorRequest.maximumCount) { (reader) throws(RecordError) in try reader.field() }
            self = .response(status: status, fields: fields)
        case 1: self = .elsewhere
        default: throw RecordError()
        }
        try reader.expectEnd()
    }
}

extension RecordReader {
    /// Reads a list of at most `limit` values.
    mutating func list<Value>(
        upTo limit: Int, _ read: (inout RecordReader) throws(RecordError) -> Value
    ) throws(RecordError) -> [Value] {
        let count = Int(try fixed(UInt32.self))
        guard count <= limit else { throw RecordError() }
        var values: [Value] = []
        for _ in 0..<count { values.append(try read(&self)) }
        return values
    }

    fileprivate mutating func field() throws(RecordError) -> OperatorRequest.Field {
        OperatorRequest.Field(try text(), try text())
    }
}

extension [UInt8] {
    mutating func append<Value>(list values: [Value], _ write: (inout [UInt8], Value) -> Void) {
        append(fixed: UInt32(truncatingIfNeeded: values.count))
        for value in values { write(&self, value) }
    }

    fileprivate mutating func append(field: OperatorRequest.Field) {
        append(text: field.name)
        append(text: field.value)
    }
}
