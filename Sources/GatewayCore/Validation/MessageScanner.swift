// SPDX-License-Identifier: Apache-2.0

/// A parser of text messages: returns a valid ``ClientMessage``, or throws the first fault.
///
/// One pass reads all the JSON and notes the positions of the known fields in any order; then the fields of the message's type are
/// validated. Nothing is copied and, except for `meta`, nothing is allocated: the scanner reuses its buffers. Each event loop has one
/// scanner.
///
/// Methods of the usual path are mutating even where they change nothing: the compiler would pass a copy of the scanner (320 bytes) to
/// others.
package struct MessageScanner: ~Copyable {
    let rules: ValidationRules
    var fields = ObjectFields()
    var format = ObjectFields()
    var output = ObjectFields()
    var outputFormat = ObjectFields()
    var meta: [ClientMessage.MetaEntry] = []
    var metaFault: MetaFault?
    /// The buffer for short texts that aren't verbatim.
    var scratch: [UInt8] = []
    var keys = KeySet()

    package init(rules: ValidationRules) {
        self.rules = rules
    }

    /// Parses the complete payload of a text message, whose UTF-8 was checked by ``UTF8Validator``; invalid bytes would be passed through.
    ///
    /// Shapes and bounds: protocol page, section "Messages". The syntax (`invalid_json`) is checked first, then the type, the size, unknown
    /// fields, and each field: the first fault in this order is thrown.
    package mutating func scan(_ bytes: RawSpan) throws(MessageFault) -> ClientMessage {
        guard bytes.byteCount <= UInt32.max else { throw MessageFault(.messageTooLarge) }
        do throws(JSONSyntaxError) {
            try readMessage(bytes)
        } catch {
            throw MessageFault(error)
        }
        let type = try messageType(bytes)
        do throws(MessageFault) {
            return try scan(bytes, as: type)
        } catch {
            var fault = error
            fault.isAudio = type == .audio
            throw fault
        }
    }

    /// Validates a message whose type is known.
    private mutating func scan(_ bytes: RawSpan, as type: MessageType) throws(MessageFault) -> ClientMessage {
        if bytes.byteCount > rules.maxBytes, type != .audio || fields[.data] == nil {
            throw fault(.messageTooLarge, in: bytes)
        }
        do throws(JSONSyntaxError) {
            try readObjects(bytes, type: type)
        } catch {
            throw MessageFault(error, replyTo: replyTo(in: bytes))
        }
        if rules.rejectsUnknownFields { try rejectUnknownFields(bytes, type: type) }
        switch type {
        case .ping: return try ping(bytes)
        case .text: return try text(bytes)
        case .audio: return try audio(bytes)
        case .status: return try status(bytes)
        case .cancel: return try cancel(bytes)
        case .ack: return try acknowledgement(bytes)
        case .auth: return try auth(bytes)
        case .bye: return .bye
        }
    }

    /// Reads all bytes of the message: one object and nothing after it.
    private mutating func readMessage(_ bytes: RawSpan) throws(JSONSyntaxError) {
        var reader = JSONReader(at: 0, maximumDepth: rules.maxDepth)
        reader.skipWhitespace(in: bytes)
        guard try reader.current(in: bytes) == UInt8(ascii: "{") else {
            throw JSONSyntaxError(bytes.byte(at: 0) == 0xEF ? .byteOrderMark : .notAnObject, at: reader.position)
        }
        try fields.read(&reader, in: bytes, depth: 1, known: .message, keys: &keys)
        reader.skipWhitespace(in: bytes)
        guard reader.position == bytes.byteCount else { throw JSONSyntaxError(.trailingBytes, at: reader.position) }
    }

    private mutating func messageType(_ bytes: RawSpan) throws(MessageFault) -> MessageType {
        if fields.withLoneSurrogate.contains(.type) {
            throw MessageFault(JSONSyntaxError(.loneSurrogate, at: 0), replyTo: replyTo(in: bytes))
        }
        guard let value = fields[.type], value.kind == .string else {
            throw fault(.typeNotString, field: .type, in: bytes)
        }
        guard let name = shortText(value, in: bytes), let type = MessageType(name) else {
            throw fault(.unknownType, field: .type, in: bytes)
        }
        return type
    }

    /// Checks the JSON of the known fields: no lone surrogates, and unique keys in the objects among them.
    private mutating func readObjects(_ bytes: RawSpan, type: MessageType) throws(JSONSyntaxError) {
        let known = type.fields
        if let (_, offset) = fields.firstOffset(of: fields.withLoneSurrogate.intersection(known)) {
            throw JSONSyntaxError(.loneSurrogate, at: offset)
        }
        guard !known.isDisjoint(with: .objects) else { return }
        meta = []
        metaFault = nil
        if known.contains(.format) { try Self.read(fields[.format], into: &format, known: .formatObject, depth: 2, in: bytes, keys: &keys) }
        if known.contains(.output) {
            try Self.read(fields[.output], into: &output, known: .outputObject, depth: 2, in: bytes, keys: &keys)
            try Self.read(output[.format], into: &outputFormat, known: .formatObject, depth: 3, in: bytes, keys: &keys)
        }
        if known.contains(.meta), let value = fields[.meta], value.kind == .object { try readMeta(value, in: bytes) }
    }

    /// Reads an object whose syntax was checked; any other value leaves `fields` empty.
    private static func read(
        _ value: JSONValue?, into fields: inout ObjectFields, known: FieldSet, depth: Int, in bytes: RawSpan, keys: inout KeySet
    ) throws(JSONSyntaxError) {
        fields.reset()
        guard let value, value.kind == .object else { return }
        var reader = JSONReader(at: value.start, maximumDepth: ValidationRules.maximumNesting)
        try fields.read(&reader, in: bytes, depth: depth, known: known, keys: &keys)
        if let (_, offset) = fields.firstOffset(of: fields.withLoneSurrogate) { throw JSONSyntaxError(.loneSurrogate, at: offset) }
    }

    private mutating func rejectUnknownFields(_ bytes: RawSpan, type: MessageType) throws(MessageFault) {
        let known = type.fields
        try rejectUnknown(fields.firstUnknown, fields.firstOffset(of: fields.seen.subtracting(known)), in: "", bytes)
        if known.contains(.format), fields[.format] != nil { try rejectUnknown(format.firstUnknown, nil, in: "/format", bytes) }
        if known.contains(.output), fields[.output] != nil {
            try rejectUnknown(output.firstUnknown, nil, in: "/output", bytes)
            try rejectUnknown(outputFormat.firstUnknown, nil, in: "/output/format", bytes)
        }
    }

    /// Rejects an unknown key or a field of another message type, whichever comes first.
    private mutating func rejectUnknown(
        _ key: TextSlice?, _ other: (name: FieldName, offset: Int)?, in parent: StaticString, _ bytes: RawSpan
    ) throws(MessageFault) {
        if let other, other.offset < key?.start ?? .max {
            throw fault(.unknownField, field: other.name, in: bytes)
        }
        if let key {
            throw MessageFault(
                .unknownField, param: JSONPointer.string(to: key, in: parent, of: bytes),
                replyTo: replyTo(in: bytes), offset: key.start)
        }
    }
}
