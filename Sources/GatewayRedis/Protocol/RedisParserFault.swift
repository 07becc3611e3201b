// SPDX-License-Identifier: Apache-2.0

/// The reason why received bytes aren't a reply.
package enum RedisParserFault: Error, Sendable, Hashable {
    /// The first byte of a reply isn't a type of RESP2.
    case unknownType(UInt8)
    /// A number or length isn't a decimal number in its range.
    case malformedNumber
    /// A line or bulk string doesn't end with CRLF.
    case missingLineEnd
    case lineTooLong
    case bulkTooLong
    case replyTooLong
    case tooManyElements
    case tooDeep
}

extension RedisParserFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unknownType(let byte): "the server's reply isn't RESP2: a reply can't begin with byte \(byte)"
        case .malformedNumber: "the server's reply isn't RESP2: invalid number"
        case .missingLineEnd: "the server's reply isn't RESP2: CRLF expected"
        case .lineTooLong: "a line of the server's reply exceeds the limit"
        case .bulkTooLong: "a string of the server's reply exceeds the limit"
        case .replyTooLong: "the server's reply exceeds the limit"
        case .tooManyElements: "the server's reply has more elements than the limit"
        case .tooDeep: "the server's reply has more nested arrays than the limit"
        }
    }
}
