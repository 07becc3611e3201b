extension MessageScanner {
    /// A fault of the message as a whole.
    func fault(_ reason: ErrorReason, in bytes: RawSpan) -> MessageFault {
        MessageFault(reason, replyTo: replyTo(in: bytes))
    }

    /// A fault of one field. `value` is where the fault is; without it, it is the field of the message itself, if it is there.
    func fault(
        _ reason: ErrorReason, field: FieldName, of parent: StaticString = "", at value: JSONValue? = nil,
        in bytes: RawSpan
    ) -> MessageFault {
        var offset = value?.start
        if offset == nil, parent.utf8CodeUnitCount == 0 { offset = fields.firstOffset(of: FieldSet(field))?.offset }
        return MessageFault(
            reason, param: JSONPointer.string(to: field, in: parent), replyTo: replyTo(in: bytes), offset: offset)
    }

    /// The `id` of the message, when it is a valid one and its type has one; a message of unknown type may have one as well.
    func replyTo(in bytes: RawSpan) -> MessageID? {
        guard let value = fields[.id], value.kind == .string, !value.hasLoneSurrogate, value.count <= MessageID.maximumLength else {
            return nil
        }
        if let type = fields[.type], let name = shortTextSlowly(type, in: bytes), let type = MessageType(name), !type.fields.contains(.id) {
            return nil
        }
        let id = value.text.bytes(in: bytes)
        // `UInt8` has no padding that could be read.
        return MessageID(unsafe id.span.bytes)
    }

    private func shortTextSlowly(_ value: JSONValue, in bytes: RawSpan) -> ShortText? {
        guard value.kind == .string, value.count <= ShortText.maximumCount else { return nil }
        let text = value.text.bytes(in: bytes)
        // As above.
        return ShortText(unsafe text.span.bytes, start: 0, count: text.count)
    }
}
