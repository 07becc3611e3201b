// SPDX-License-Identifier: Apache-2.0

extension MessageScanner {
    /// Returns a fault of the message as a whole.
    func fault(_ reason: ErrorReason, in bytes: RawSpan) -> MessageFault {
        MessageFault(reason, replyTo: replyTo(in: bytes))
    }

    /// Returns a fault of one field. `value` determines the offset; by default it is the message's field, if present.
    func fault(
        _ reason: ErrorReason, field: FieldName, of parent: StaticString = "", at value: JSONValue? = nil,
        in bytes: RawSpan
    ) -> MessageFault {
        var offset = value?.start
        if offset == nil, parent.utf8CodeUnitCount == 0 { offset = fields.firstOffset(of: FieldSet(field))?.offset }
        return MessageFault(
            reason, param: JSONPointer.string(to: field, in: parent), replyTo: replyTo(in: bytes), offset: offset)
    }

    /// Returns the `id` of the message if it is valid and the message's type, when known, has an id.
    func replyTo(in bytes: RawSpan) -> MessageID? {
        guard let value = fields[.id], value.kind == .string, !value.hasLoneSurrogate, value.count <= MessageID.maximumLength else {
            return nil
        }
        if let type = fields[.type], let name = copiedShortText(type, in: bytes), let type = MessageType(name), !type.fields.contains(.id) {
            return nil
        }
        let id = value.text.bytes(in: bytes)
        // `UInt8` has no padding that could be read.
        return MessageID(unsafe id.span.bytes)
    }

    private func copiedShortText(_ value: JSONValue, in bytes: RawSpan) -> ShortText? {
        guard value.kind == .string, value.count <= ShortText.maximumCount else { return nil }
        let text = value.text.bytes(in: bytes)
        // As above.
        return ShortText(unsafe text.span.bytes, start: 0, count: text.count)
    }
}
