/// The reason and the position of a JSON syntax error. A small type, because every step of the scan can throw it.
struct JSONSyntaxError: Error {
    enum Reason: UInt8 {
        case notAnObject, byteOrderMark, trailingBytes, unexpectedEnd, unexpectedByte, badLiteral, badNumber, badEscape, controlCharacter,
            loneSurrogate, duplicateKey, tooDeep
    }

    var reason: Reason
    var offset: Int

    init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}

extension JSONSyntaxError.Reason {
    var explanation: StaticString {
        switch self {
        case .notAnObject: "a message is one JSON object"
        case .byteOrderMark: "a message starts with its object, not with a byte order mark"
        case .trailingBytes: "there is something behind the object"
        case .unexpectedEnd: "the message ends before its object does"
        case .unexpectedByte: "a character is not where JSON allows it"
        case .badLiteral: "a literal is neither true, false nor null"
        case .badNumber: "a number is not written as JSON demands"
        case .badEscape: "an escape in a string is not one of JSON's"
        case .controlCharacter: "a control character in a string must be escaped"
        case .loneSurrogate: "a string holds half of a surrogate pair"
        case .duplicateKey: "a key is there twice"
        case .tooDeep: "the nesting is deeper than messages.max_depth"
        }
    }
}
