// SPDX-License-Identifier: Apache-2.0

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
    var error: ErrorReason {
        switch self {
        case .notAnObject: .notAnObject
        case .byteOrderMark: .byteOrderMark
        case .trailingBytes: .trailingBytes
        case .unexpectedEnd: .incompleteJSON
        case .unexpectedByte: .unexpectedCharacter
        case .badLiteral: .invalidLiteral
        case .badNumber: .invalidNumber
        case .badEscape: .invalidEscape
        case .controlCharacter: .unescapedControl
        case .loneSurrogate: .loneSurrogate
        case .duplicateKey: .duplicateKey
        case .tooDeep: .nestingTooDeep
        }
    }
}
